"""Sockets, as ``/proc/net`` lists them: TCP, UDP, raw, UNIX, netlink, packet.

Each protocol finds its sockets in its own way (``net/ipv4/tcp_ipv4.c``, ``udp.c``, ``raw.c``, ``net/unix/af_unix.c``,
``net/netlink/af_netlink.c``, ``net/packet/af_packet.c``): TCP has a hash table for connections and one for listeners, UDP one
by local port, raw one by protocol, shared by IPv4 and IPv6 but for raw; UNIX has one in each network namespace, packet a
list, and netlink an ``rhashtable`` for each of its protocols. A connection that waits for its end or has just been asked
for is a smaller structure, so only what ``sock_common`` holds is read of it.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...kernel.objects import KernelObjects, Object
from .open_files import descriptors
from .overlay import BuiltOverlay, OverlayContext, each
from .processes import tasks

MAX_NAMESPACES = 1 << 12
MAX_BUCKETS = 1 << 22
UNIX_BUCKETS = 512
"""``UNIX_HASH_SIZE``, since release 6.0 (f302d180c6d4)."""
# include/net/tcp_states.h
_STATES = (
    "?", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
    "LISTEN", "CLOSING", "NEW_SYN_RECV", "BOUND_INACTIVE",
)  # fmt: skip
_ESTABLISHED, _TIME_WAIT, _LISTEN, _NEW_SYN_RECV = 1, 6, 10, 12
_AF_INET6 = 10
_UDP, _UDPLITE = 17, 136
# include/linux/net.h
_TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket"}
MAX_INTERFACES = 1 << 14
# include/uapi/linux/netlink.h
_NETLINK = {
    0: "route", 2: "usersock", 3: "firewall", 4: "sock-diag", 5: "nflog", 6: "xfrm", 7: "selinux", 8: "iscsi", 9: "audit",
    10: "fib-lookup", 11: "connector", 12: "netfilter", 15: "kobject-uevent", 16: "generic", 18: "scsitransport",
    19: "ecryptfs", 20: "rdma", 21: "crypto", 22: "smc",
}  # fmt: skip
_NETLINK_PROTOCOLS = 32
_MAX_TABLES = 4


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket: addresses are ``host:port``, the name of a UNIX socket, port and groups of a netlink socket, or the
    Ethernet protocol and interface of a packet socket; `namespace` is its network namespace's inode.

    `pids` are the processes that have it open; `inode` is 0 for a connection that no process holds any more.
    """

    protocol: str
    state: str
    local: str
    remote: str
    uid: int
    inode: int
    namespace: int
    pids: tuple[int, ...]


def read_sockets(context: OverlayContext, budget: Budget) -> Iterator[Socket]:
    """Yield every socket of every network namespace, protocol by protocol."""
    space = context.objects
    owners = _owners(space, budget)
    head = space.address_of("net_namespace_list")
    namespaces = list(space.linked(head, "net", "list", MAX_NAMESPACES)) if head else []
    tables = (
        *((_tcp_sockets(space, table), "tcp") for table in _tables(space, namespaces, "tcp")),
        *((_udp_sockets(space, table), "udp") for table in _tables(space, namespaces, "udp")),
        *((_raw_sockets(space, table), "raw") for table in ("raw_v4_hashinfo", "raw_v6_hashinfo")),
    )
    for found, protocol in tables:
        yield from each(found, lambda common, kind=protocol: _internet_socket(common, kind, owners), budget, "socket")  # type: ignore[misc]
    for namespace in namespaces:
        yield from each(_unix_sockets(namespace), lambda sock: _unix_socket(sock, owners), budget, "socket")
    yield from each(_netlink_sockets(space, budget), lambda sock: _netlink_socket(sock, owners), budget, "socket")
    for namespace in namespaces:
        interfaces = _interfaces(namespace)
        found = _packet_sockets(namespace)
        yield from each(found, lambda sock, names=interfaces: _packet_socket(sock, owners, names), budget, "socket")  # type: ignore[misc]


def _owners(space: KernelObjects, budget: Budget) -> dict[int, tuple[int, ...]]:
    """Which processes have a socket open, by the address of its inode."""
    operations = space.address_of("socket_file_ops")
    found: defaultdict[int, list[int]] = defaultdict(list)
    for task in tasks(space):
        for pid, _, _, file in descriptors(task, budget):
            with suppress(GlassBoxError):
                if file["f_op"] == operations and pid not in found[inode := file["f_inode"]]:
                    found[inode].append(pid)
    return {inode: tuple(pids) for inode, pids in found.items()}


def _tables(space: KernelObjects, namespaces: list[Object], protocol: str) -> list[Object]:
    """The hash tables of a protocol: one for all, and those that namespaces have of their own (release 6.1 on)."""
    symbol, kind, path = {
        "tcp": ("tcp_hashinfo", "inet_hashinfo", "ipv4.tcp_death_row.hashinfo"),
        "udp": ("udp_table", "udp_table", "ipv4.udp_table"),
    }[protocol]
    found = [address] if (address := space.address_of(symbol)) else []
    for namespace in namespaces:
        with suppress(GlassBoxError):
            if path in namespace and (table := namespace[path]) and table not in found:
                found.append(table)
    return [space.at(kind, address) for address in found]


def _tcp_sockets(space: KernelObjects, table: Object) -> Iterator[Object]:
    """Yield the ``sock_common`` of every TCP socket: listeners first, as ``/proc/net/tcp`` does."""
    size = space.size("inet_listen_hashbucket")
    if table["lhash2"]:
        chain = space.offset("inet_listen_hashbucket", "nulls_head")
        yield from _chained(space, table["lhash2"] + chain, size, table["lhash2_mask"] + 1, "skc_nulls_node")
    if table["ehash"]:
        size = space.size("inet_ehash_bucket")
        yield from _chained(space, table["ehash"], size, table["ehash_mask"] + 1, "skc_nulls_node")


def _udp_sockets(space: KernelObjects, table: Object) -> Iterator[Object]:
    """Yield the ``sock_common`` of every UDP socket."""
    yield from _chained(space, table["hash"], space.size("udp_hslot"), table["mask"] + 1, "skc_node")


def _raw_sockets(space: KernelObjects, symbol: str) -> Iterator[Object]:
    """Yield the ``sock_common`` of every raw socket of IPv4 or IPv6."""
    table = space.address_of(symbol)
    if table and space.has("raw_hashinfo", "ht"):
        field = space.fields.get("raw_hashinfo", "ht")
        yield from _chained(space, table + field.offset, 8, field.count, "skc_node")


def _chained(space: KernelObjects, first: int, step: int, count: int, member: str) -> Iterator[Object]:
    """Yield the sockets in `count` chains, whose heads are `step` bytes apart."""
    count = min(count, MAX_BUCKETS)
    # Listeners hang in their chain by a link of struct sock where the kernel has that.
    back = space.offset("sock_common", member)
    words, width = space.read(first, step * (count - 1) + 8), step
    for number in range(count):
        head = int.from_bytes(words[number * width : number * width + 8], "little")
        if head and not head & 1:
            for link in space.hashed(head):
                yield space.at("sock_common", link - back)


def _internet_socket(common: Object, protocol: str, owners: dict[int, tuple[int, ...]]) -> Socket:
    state, six = common["skc_state"], common["skc_family"] == _AF_INET6
    inode, uid = 0, 0
    pids: tuple[int, ...] = ()
    if state not in (_TIME_WAIT, _NEW_SYN_RECV):
        inode, uid, pids = _user_side(common, owners)
    kind = ("in6_u.u6_addr8", "skc_v6_rcv_saddr", "skc_v6_daddr") if six else ("", "skc_rcv_saddr", "skc_daddr")
    return Socket(
        protocol=protocol + ("6" if six else ""),
        state=_STATES[state] if state < len(_STATES) else "?",
        local=_host(common, kind[1], six) + f":{common['skc_num']}",
        remote=_host(common, kind[2], six) + f":{int.from_bytes(common['skc_dport'].to_bytes(2, 'little'), 'big')}",
        uid=uid,
        inode=inode,
        namespace=_namespace(common),
        pids=pids,
    )


def _host(common: Object, member: str, six: bool) -> str:
    data = common.space.read(common.at(member), 16 if six else 4)
    return f"[{ipaddress.IPv6Address(data)}]" if six else str(ipaddress.IPv4Address(data))


def _user_side(common: Object, owners: dict[int, tuple[int, ...]]) -> tuple[int, int, tuple[int, ...]]:
    """Inode number, user and processes of a whole socket; zeros for one without a file."""
    space = common.space
    sock = space.at("sock", common.address)
    socket = sock["sk_socket"]
    uid = sock["sk_uid.val"]
    if not socket:
        return 0, uid, ()
    inode = space.at(
        "inode", socket + space.offset("socket_alloc", "vfs_inode") - space.offset("socket_alloc", "socket")
    )
    return inode["i_ino"], uid, owners.get(inode.address, ())


def _namespace(common: Object) -> int:
    net = common.follow("skc_net.net")
    return net["ns.inum"] if net else 0


def _unix_sockets(namespace: Object) -> Iterator[Object]:
    """Yield the ``unix_sock`` of every UNIX socket in a network namespace."""
    space = namespace.space
    if "unx.table.buckets" not in namespace or not (buckets := namespace["unx.table.buckets"]):
        return
    for common in _chained(space, buckets, 8, UNIX_BUCKETS, "skc_node"):
        yield space.at("unix_sock", common.address)


def _unix_socket(sock: Object, owners: dict[int, tuple[int, ...]]) -> Socket:
    common = sock.space.at("sock_common", sock.address)
    inode, uid, pids = _user_side(common, owners)
    state = common["skc_state"]
    peer = sock.follow("peer")
    kind = sock.space.at("sock", sock.address)["sk_type"]
    return Socket(
        protocol="unix-" + _TYPES.get(kind, str(kind)),
        state={_ESTABLISHED: "CONNECTED", _LISTEN: "LISTEN"}.get(state, "UNCONNECTED"),
        local=_unix_name(sock),
        remote=_unix_name(sock.space.at("unix_sock", peer.address)) if peer else "",
        uid=uid,
        inode=inode,
        namespace=_namespace(common),
        pids=pids,
    )


def _netlink_sockets(space: KernelObjects, budget: Budget) -> Iterator[Object]:
    """Yield the ``netlink_sock`` of every netlink socket."""
    pointer = space.address_of("nl_table")
    if not pointer or not space.has("netlink_table", "hash.tbl"):
        return
    first, size, back = space.unsigned(pointer), space.size("netlink_table"), space.offset("netlink_sock", "node")
    for number in range(_NETLINK_PROTOCOLS):
        try:
            nodes = list(_rhashed(space.at("netlink_table", first + number * size).inner("hash"), budget))
        except GlassBoxError as error:
            budget.skip_unread(f"the netlink sockets of protocol {number}", error)
            continue
        for node in nodes:
            yield space.at("netlink_sock", node - back)


def _rhashed(table: Object, budget: Budget) -> Iterator[int]:
    """Yield the ``rhash_head`` of all that a ``struct rhashtable`` holds (``include/linux/rhashtable.h``)."""
    space, buckets = table.space, table.follow("tbl")
    for _ in range(_MAX_TABLES):
        if buckets is None:
            return
        if buckets["nest"]:
            budget.skip(f"the hash table at {table.address:#x} is nested and was skipped")
            return
        for head in space.words(buckets.at("buckets"), min(buckets["size"], MAX_BUCKETS)):
            # The lowest bit of a bucket is its lock.
            yield from space.hashed(head & ~1)
        # While the table grows, entries already moved are in the next one.
        buckets = buckets.follow("future_tbl")


def _netlink_socket(sock: Object, owners: dict[int, tuple[int, ...]]) -> Socket:
    common = sock.space.at("sock_common", sock.address)
    inode, uid, pids = _user_side(common, owners)
    number, groups = sock.space.at("sock", sock.address)["sk_protocol"], sock["groups"]
    mask = sock.space.unsigned(groups, 4) if groups else 0
    peer = sock["dst_portid"]
    return Socket(
        protocol=f"netlink-{_NETLINK.get(number, number)}",
        state="CONNECTED" if peer else "UNCONNECTED",
        local=f"port {sock['portid']} groups {mask:#x}",
        remote=f"port {peer}" if peer else "",
        uid=uid,
        inode=inode,
        namespace=_namespace(common),
        pids=pids,
    )


def _packet_sockets(namespace: Object) -> Iterator[Object]:
    """Yield the ``packet_sock`` of every packet socket in a network namespace."""
    space = namespace.space
    if "packet.sklist.first" in namespace and space.has("packet_sock", "num"):
        back = space.offset("sock_common", "skc_node")
        for link in space.hashed(namespace["packet.sklist.first"]):
            yield space.at("packet_sock", link - back)


def _packet_socket(sock: Object, owners: dict[int, tuple[int, ...]], interfaces: dict[int, str]) -> Socket:
    common = sock.space.at("sock_common", sock.address)
    inode, uid, pids = _user_side(common, owners)
    kind = sock.space.at("sock", sock.address)["sk_type"]
    protocol = int.from_bytes(sock["num"].to_bytes(2, "little"), "big")
    index = sock["ifindex"]
    where = interfaces.get(index, f"interface {index}") if index else "any interface"
    return Socket(
        protocol=f"packet-{_TYPES.get(kind, kind)}",
        state="BOUND" if protocol else "UNBOUND",
        local=f"{protocol:#06x} on {where}",
        remote="",
        uid=uid,
        inode=inode,
        namespace=_namespace(common),
        pids=pids,
    )


def _interfaces(namespace: Object) -> dict[int, str]:
    """Names of network interfaces by their numbers."""
    found: dict[int, str] = {}
    with suppress(GlassBoxError):
        head = namespace.at("dev_base_head")
        for device in namespace.space.linked(head, "net_device", "dev_list", MAX_INTERFACES):
            found[device["ifindex"]] = device.text("name")
    return found


def _unix_name(sock: Object) -> str:
    """The name a socket is bound to; abstract ones begin with ``@``, which also stands for zeros in them."""
    address = sock.follow("addr")
    if address is None:
        return ""
    start = sock.space.offset("sockaddr_un", "sun_path")
    length = min(max(address["len"] - start, 0), 108)
    name = sock.space.read(address.at("name") + start, length)
    if name[:1] != b"\0":
        name = name.split(b"\0", 1)[0]
    return name.replace(b"\0", b"@").decode("utf-8", "replace")


SOCKETS = BuiltOverlay(
    "sockets",
    "TCP, UDP, raw, UNIX, netlink and packet sockets.",
    ("protocol", "state", "local", "remote", "uid", "inode", "namespace", "pids"),
    read_sockets,
    is_never_empty=True,
)
