"""The page in a real browser, as somebody uses it: with pointer, with keys alone, narrow, wide, light and dark."""

from __future__ import annotations

import shutil
import socket
from contextlib import contextmanager

import pytest
from serving import Service, serving
from support import OUT, wait_until

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.guest, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium without a window."""
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def controlled(machine):
    """A service that may control the session's machine."""
    with serving("--listen", "127.0.0.1:0", "--allow-control") as found:
        yield Service(*found)


@contextmanager
def opened(browser, service, name="", width=1440, height=900, scheme="light", at="", token=True):
    """A tab with the page, of machine `name`; no error of its scripts and no request to another host is allowed."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    tab = context.new_page()
    errors, hosts = [], set()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: hosts.add(request.url.split("/")[2]) if request.url.startswith("http") else None)
    tab.goto(service.url + at + (f"#token={service.token}" if token else ""))
    if name:
        # Others of the tests may run beside it.
        tab.select_option("#machine", name)
    try:
        yield tab
        assert hosts == {f"{service.host}:{service.port}"}
        # Chromium itself reports answers with an error's status; that is no error of the page.
        assert not [error for error in errors if "the server responded with a status of" not in error]
    finally:
        context.close()


def picture_is_live(tab):
    tab.locator("#live[data-state=live]").wait_for()


def pictures(tab):
    return int(tab.locator("#live").get_attribute("data-pictures"))


def fits(tab):
    """Whether nothing sticks out to the right."""
    return tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_somebody_looks_around_with_the_pointer(browser, controlled, machine):
    with opened(browser, controlled, machine.name) as tab:
        picture_is_live(tab)
        assert "token" not in tab.url, "it is in no bookmark"
        tab.locator("#words span").first.wait_for()
        tab.screenshot(path=OUT / "page.png")
        box = tab.locator("#live").bounding_box()
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        before = pictures(tab)
        tab.mouse.move(*middle)
        tab.mouse.down()
        tab.mouse.move(middle[0] + 90, middle[1] + 20, steps=6)
        tab.mouse.up()
        wait_until(lambda: pictures(tab) > before + 3)
        # What is asked twice is the same only while nothing runs, and once no search for owners is due.
        with machine.paused():
            machine.client.page_map(complete=True)
            tab.mouse.click(*middle)
            physical = tab.locator("#byte-facts dt:text-is('Physical') + dd").inner_text()
            place = machine.client.identify(physical).value
            assert tab.locator("#byte-facts dd").first.inner_text() == place.page_class
            tab.fill("#query", "pid:1")
            tab.press("#query", "Enter")
            tab.locator("#colours li", has_text="pid:1").wait_for()
            ranges = machine.client.resolve("pid:1").value.ranges
            assert f"{len(ranges)} ranges" in tab.locator("#found-summary").inner_text()
        tab.fill("#query", "init_task")
        tab.click("text=Find")
        tab.locator("#found-table button", has_text="init_task").first.click()
        tab.locator("#byte-facts dd", has_text="init_task+0").wait_for()
        tab.click("#tab-processes")
        tab.locator("#process-table td", has_text="init").first.wait_for()
        tab.click("#tab-overlays")
        tab.select_option("#overlay", "modules")
        tab.locator("#overlay-table table[aria-label=modules]").wait_for()
        tab.click("#tab-trace")
        tab.click("#record")
        tab.locator("#trace-table td").first.wait_for()
        tab.screenshot(path=OUT / "page-trace.png")


def test_somebody_asks_in_words(browser, controlled, machine):
    with opened(browser, controlled, machine.name) as tab:
        picture_is_live(tab)
        tab.fill("#query", "which processes are not root's?")
        tab.press("#query", "Enter")
        tab.locator("#found-summary", has_text="--where 'uid!=0'").wait_for()
        tab.fill("#query", "the 5 largest slab caches")
        tab.press("#query", "Enter")
        tab.locator("#found-table tbody tr").nth(4).wait_for()
        tab.screenshot(path=OUT / "page-ask.png")
        tab.fill("#query", "show me crond's page tables")
        tab.press("#query", "Enter")
        tab.locator("#colours li", has_text="comm:crond/pagetables").wait_for()
        tab.fill("#query", "show the fancy processes")
        tab.press("#query", "Enter")
        tab.locator("#found-table td", has_text=f"glassbox ps {machine.name}").wait_for()
        tab.screenshot(path=OUT / "page-unsure.png")


def test_several_machines_are_chosen_by_keys_and_clicked(browser, controlled, machine, second_machine):
    names = machine.name, second_machine.name
    with opened(browser, controlled, machine.name, width=1280, height=800, scheme="dark") as tab:
        tab.focus("#machine")
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.focus(f"#beside-list input[value={second_machine.name}]")
        tab.keyboard.press("Space")
        tab.keyboard.press("Escape")
        assert tab.evaluate("document.activeElement.tagName") == "SUMMARY" and not tab.is_visible("#beside-list")
        tab.locator("#over .name").nth(1).wait_for()
        assert set(tab.locator("#over .name").all_inner_texts()) == set(names)
        assert tab.locator("#over .active").inner_text() == machine.name
        picture_is_live(tab)
        for name in (second_machine.name, machine.name):
            click_cube(tab, name)
            tab.locator(f"#byte-facts dt:text-is('Machine') + dd:text-is('{name}')").wait_for()
            tab.locator(f"#over .active:text-is('{name}')").wait_for()
            assert tab.input_value("#machine") == name
        tab.fill("#query", "kernel.text")
        tab.press("#query", "Enter")
        rows = tab.locator("#found-table tbody tr td:first-child")
        rows.nth(1).wait_for()
        assert set(rows.all_inner_texts()) == set(names)
        tab.locator("#colours li", has_text="kernel.text").wait_for()
        tab.select_option("#mode", "equal")
        tab.locator("#colours li", has_text="in 2 machines").wait_for()
        assert tab.locator("#colours li", has_text="kernel.text").count(), "it goes on to stand out"
        assert fits(tab)
        tab.screenshot(path=OUT / "page-several.png")
        tab.click("#beside summary")
        tab.uncheck(f"#beside-list input[value={second_machine.name}]")
        tab.locator("#mode option[value=equal]:disabled").wait_for(state="attached")
        picture_is_live(tab)
        assert tab.locator("#over .name").count() == 0 and tab.input_value("#mode") == "class"


def click_cube(tab, name):
    """Click on the densest part of a machine's cube: below the middle of its name."""
    picture = tab.locator("#live").bounding_box()
    label = tab.locator(f"#over .name:text-is('{name}')").bounding_box()
    x, top = label["x"] + label["width"] / 2, label["y"] + label["height"]
    tab.mouse.click(x, top + (picture["y"] + picture["height"] - top) / 4)


def test_every_control_is_reached_by_tab_has_a_name_and_shows_it(browser, controlled, machine, second_machine):
    """Down the page in the order of its text, round, and back again; what has the focus looks so."""
    with opened(browser, controlled, machine.name, width=1280, height=800) as tab:
        picture_is_live(tab)
        tab.locator("#beside").wait_for()
        wanted = tab.evaluate(CONTROLS)
        stops = walk(tab, "Tab", len(wanted))
        assert [stop["number"] for stop in stops] == wanted, "every control once, in the order of the page"
        for stop in stops:
            assert stop["outline"] >= 2 and stop["contrast"] >= 3, f"the focus is seen: {stop}"
            assert stop["isInSight"], stop
        back = walk(tab, "Shift+Tab", len(wanted))
        assert [stop["number"] for stop in back] == wanted[::-1], "no control keeps the focus"
        session = tab.context.new_cdp_session(tab)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        controls = [node for node in nodes if focusable(node)]
        assert len(controls) >= len(wanted) - 1
        for node in controls:
            assert node["role"]["value"] in ROLES and node.get("name", {}).get("value", "").strip(), node


CONTROLS = """() => {
  window.all = [...document.querySelectorAll("*")];
  const isStop = (node) => node.tabIndex >= 0 && !node.disabled && node.checkVisibility({ visibilityProperty: true });
  return all.filter(isStop).map((node) => all.indexOf(node));
}"""
STOP = """() => {
  const node = document.activeElement;
  if (node === document.body || node === document.documentElement) return null;
  const style = getComputedStyle(node);
  const light = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  let behind = node;
  while (behind.parentElement && /, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
  const [a, b] = [light(style.outlineColor), light(getComputedStyle(behind).backgroundColor)];
  const box = node.getBoundingClientRect();
  return {
    number: all.indexOf(node), what: `${node.tagName} ${node.id} ${node.textContent.trim().slice(0, 20)}`,
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
    isInSight: box.width > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
  };
}"""
ROLES = {
    *(
        "link",
        "button",
        "combobox",
        "MenuListPopup",
        "textbox",
        "searchbox",
        "DisclosureTriangle",
        "application",
        "tab",
    ),
    *("tabpanel", "checkbox", "option", "group", "region", "RootWebArea", "dialog", "summary"),
}


def focusable(node):
    """Whether a node of the accessibility tree can have the focus."""
    properties = {each["name"]: each["value"].get("value") for each in node.get("properties", ())}
    return not node["ignored"] and properties.get("focusable") is True


def walk(tab, key, most):
    """What has the focus after each press of `key`, until that leaves the page, or comes to the first again."""
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press(key)
    stops = []
    while (stop := tab.evaluate(STOP)) is not None and stop not in stops[:1]:
        stops.append(stop)
        assert len(stops) <= most, " | ".join(each["what"] for each in stops)
        tab.keyboard.press(key)
    return stops


def test_somebody_uses_keys_alone(browser, controlled, machine):
    with opened(browser, controlled, machine.name, scheme="dark") as tab:
        picture_is_live(tab)
        reach(tab, "#live")
        assert tab.locator("#cross").is_visible(), "where Enter selects is shown"
        for keys in (["ArrowLeft"], ["Shift+ArrowUp"] * 2, ["+"]):
            seen, before = look_at(tab), pictures(tab)
            for key in keys:
                tab.keyboard.press(key, delay=150)
            wait_until(lambda before=before: pictures(tab) > before)
            wait_until(lambda seen=seen: look_at(tab) != seen)
        tab.keyboard.press("h")
        tab.keyboard.press("Enter")
        tab.locator("#byte-facts dd, #byte-hint:text('There is nothing')").first.wait_for()
        tab.keyboard.press("Escape")
        reach(tab, "#tab-byte")
        for name in ("processes", "found", "overlays", "trace", "events", "byte", "processes"):
            tab.keyboard.press("ArrowRight")
            assert focus(tab) == f"tab-{name}" and tab.locator(f"#{name}").is_visible()
        tab.locator("#process-table button", has_text="init").first.wait_for()
        reach(tab, "#process-table button")
        tab.keyboard.press("Enter")
        tab.locator("#found-table button").first.wait_for()
        assert focus(tab) == "found", "what opened another panel passed the keyboard on to it"
        reach(tab, "#found-table button")
        tab.keyboard.press("Space")
        tab.locator("#byte-facts dd").first.wait_for()
        assert focus(tab) == "byte"
        reach(tab, "#pause", "Shift+Tab")
        for name, other, state in (("pause", "resume", "paused"), ("resume", "pause", "running")):
            tab.keyboard.press("Enter")
            tab.locator(f"#{other}").wait_for()
            assert focus(tab) == other, f"{name} has gone, and {other} is in its place"
            assert machine.client.status().runstate == state
        tab.screenshot(path=OUT / "page-dark.png")


def focus(tab):
    """The id of what has the focus."""
    return tab.evaluate("document.activeElement.id")


def reach(tab, selector, key="Tab"):
    """Press `key` until something that `selector` names has the focus."""
    for _ in range(60):
        if tab.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
        tab.keyboard.press(key)
    raise AssertionError(f"{selector} is not reached by {key}")


def look_at(tab):
    """The pixels of the live picture."""
    return tab.evaluate("document.querySelector('#live').toDataURL()")


def test_what_is_open_is_closed_by_escape_and_by_going_on(browser, controlled, machine, second_machine):
    with opened(browser, controlled, machine.name) as tab:
        reach(tab, "#beside summary")
        tab.keyboard.press("Enter")
        tab.locator("#beside-list input").first.wait_for()
        tab.keyboard.press("Tab")
        tab.keyboard.press("Escape")
        assert not tab.is_visible("#beside-list") and tab.evaluate("document.activeElement.tagName") == "SUMMARY"
        tab.keyboard.press("Enter")
        reach(tab, "#query")
        assert not tab.is_visible("#beside-list"), "it does not stay over what the keyboard is at"


@pytest.mark.parametrize("width", [400, 1440])
def test_the_question_for_the_token_is_no_trap(browser, controlled, machine, width):
    with opened(browser, controlled, token=False, width=width) as tab:
        tab.locator("#token").wait_for()
        tab.keyboard.press("Escape")
        tab.locator("#problem", has_text="token").wait_for()
        # The list of machines is asked for again and again meanwhile.
        with tab.expect_response("**/api/machines"):
            pass
        assert not tab.is_visible("#token") and fits(tab)
        reach(tab, "#enter-token")
        tab.keyboard.press("Enter")
        tab.keyboard.type(controlled.token)
        tab.keyboard.press("Enter")
        picture_is_live(tab)
        assert not tab.is_visible("#enter-token")


SCREENS = [(400, 800, "dark"), (400, 800, "light"), (3840, 2160, "light"), (3840, 2160, "dark")]


@pytest.mark.parametrize(
    ("width", "height", "scheme"), [SCREENS[0], *(pytest.param(*each, marks=pytest.mark.long) for each in SCREENS[1:])]
)
def test_it_is_readable_narrow_and_wide_in_light_and_dark(browser, controlled, machine, width, height, scheme):
    with opened(browser, controlled, machine.name, width, height, scheme) as tab:
        picture_is_live(tab)
        tab.locator("#words span").first.wait_for()
        for name in ("byte", "trace", "events", "overlays", "found", "processes"):
            tab.click(f"#tab-{name}")
            if name == "found":
                tab.fill("#query", "pid:1")
                tab.press("#query", "Enter")
                tab.locator("#found-table td").first.wait_for()
            if name in ("overlays", "processes"):
                tab.locator(f"#{name} td").first.wait_for()
            assert fits(tab), name
            assert tab.evaluate(CUT) == [], name
            ratios = tab.evaluate(CONTRAST)
            assert ratios and min(ratio for _, ratio in ratios) >= 4.5, sorted(ratios, key=lambda pair: pair[1])[:5]
            least = tab.evaluate(SMALLEST)
            assert least >= (12 if width == 400 else 17), (name, least)
        tab.screenshot(path=OUT / f"page-{width}-{scheme}.png", full_page=width == 400)


# Text that is cut without an ellipsis and without a way to scroll to it.
CUT = """() => [...document.querySelectorAll("button, label, summary, h1, h2, a, select, dt, th, p, li")]
  .filter((node) => node.checkVisibility() && getComputedStyle(node).overflowX === "hidden"
      && getComputedStyle(node).textOverflow !== "ellipsis" && node.scrollWidth > node.clientWidth + 1)
  .map((node) => node.id || node.textContent)"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll("body *")].filter((node) => node.checkVisibility()
      && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
  .map((node) => parseFloat(getComputedStyle(node).fontSize)))"""


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const found = parse(getComputedStyle(node).backgroundColor);
      if (found.length < 4 || found[3] > 0.9) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((node) => node.checkVisibility()
      && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim())).map((node) => {
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
    return [node.id || node.tagName, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  }).concat([...document.querySelectorAll("[placeholder]")].map((node) => {
    const [a, b] = [light(parse(getComputedStyle(node, "::placeholder").color)), light(behind(node))];
    return ["placeholder", (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  }));
}"""


@pytest.mark.long
def test_without_the_token_it_asks_for_it(browser, controlled, machine):
    with opened(browser, controlled, token=False) as tab:
        tab.fill("#token", "wrong-token")
        tab.click("#ask-token button")
        tab.locator("#token").wait_for()
        tab.fill("#token", controlled.token)
        tab.click("#ask-token button")
        picture_is_live(tab)


@pytest.mark.long
def test_text_of_a_guest_is_text(browser, controlled, machine):
    name = "<img onerror=1>"  # as long as the kernel lets a name be; a shell may change its own
    shell = f"sh -c 'printf \"{name}\" > /proc/$$/comm; while :; do sleep 5; done' >/dev/null 2>&1 </dev/null & echo $!"
    pid = int(machine.exec(shell))
    try:
        with opened(browser, controlled, machine.name) as tab:
            tab.click("#tab-processes")
            tab.locator("#process-table td", has_text=name).first.wait_for()
            assert tab.locator("#process-table img").count() == 0
    finally:
        machine.exec(f"kill {pid}")


@pytest.mark.long
def test_all_operations_can_be_tried_out_without_another_host(browser, controlled):
    with opened(browser, controlled, at="docs") as tab:
        tab.locator("#operations-operations-ps").scroll_into_view_if_needed()
        tab.click("#operations-operations-ps button.opblock-summary-control")
        tab.click("#operations-operations-ps button.try-out__btn")
        tab.fill("#operations-operations-ps input[placeholder=name]", "session")
        tab.click("#operations-operations-ps button.execute")
        tab.locator(
            "#operations-operations-ps .live-responses-table .response-col_status", has_text="200"
        ).first.wait_for()
        tab.screenshot(path=OUT / "page-docs.png")


def test_a_page_of_another_site_gets_nothing(browser, controlled, machine):
    """Its scripts run in the same browser, know the address and even the token."""
    context = browser.new_context()
    tab = context.new_page()
    with socket.create_server(("127.0.0.1", 0)) as other:
        other_url = f"http://localhost:{other.getsockname()[1]}/"
    tab.route(other_url, lambda route: route.fulfill(body="<h1>hello</h1>", content_type="text/html"))
    tab.goto(other_url)
    own, path = controlled.url, f"api/machines/{machine.name}"
    ask = "([url, token]) => fetch(url, token && {headers: {authorization: `Bearer ${token}`}}).then(() => 'read', () => 'refused')"
    assert tab.evaluate(ask, [f"{own}{path}/ps", controlled.token]) == "refused"
    assert tab.evaluate(ask, [f"{own}{path}/ps", None]) == "refused"
    look = "([url, token]) => new Promise((done) => { const s = new WebSocket(url, ['glassbox', `glassbox.token.${token}`]); s.onopen = () => done('read'); s.onerror = () => done('refused'); })"
    assert tab.evaluate(look, [f"{own}{path}/live".replace("http", "ws"), controlled.token]) == "refused"
    context.close()
