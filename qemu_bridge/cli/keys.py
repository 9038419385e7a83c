"""The verb ``keys``: which clients on other hosts a user's machines serve, and which machines elsewhere they trust."""

from __future__ import annotations

import argparse

from .options import Verbs, add_json, add_verb, print_json, print_lines, print_rows, say


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    about = "Keys for machines on other hosts: make, show, allow, revoke, list, trust."
    actions = verbs.add_parser("keys", help=about, description=about).add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    add_json(add_verb(actions, "make", make, "glassbox keys make"))
    add_json(add_verb(actions, "show", show, "glassbox keys show"))
    parser = add_verb(actions, "allow", allow, "glassbox keys allow KEY --role read --comment anna@laptop")
    parser.add_argument(
        "key", metavar="KEY", help="the client key that 'glassbox keys show' prints on the client's host"
    )
    parser.add_argument("--role", required=True, help="read, control or write; each includes those before it")
    parser.add_argument("--comment", default="", metavar="TEXT", help="whose key it is")
    parser = add_verb(actions, "revoke", revoke, "glassbox keys revoke anna@laptop")
    parser.add_argument("who", metavar="KEY|COMMENT", help="the client's key or its comment")
    add_json(add_verb(actions, "list", list_clients, "glassbox keys list"))
    parser = add_verb(actions, "trust", trust, "glassbox keys trust tcp://192.0.2.1:7000 KEY")
    parser.add_argument("address", metavar="tcp://ADDRESS:PORT", help="where the machine's daemon listens")
    parser.add_argument("key", metavar="KEY", help="the daemon key that 'glassbox keys show' prints on its host")


def make(options: argparse.Namespace) -> None:
    """Make this user's daemon key and client key, where there are none yet, and show their public halves."""
    from ..wire import keys

    for name in (keys.DAEMON, keys.CLIENT):
        keys.make_pair(name)
    show(options)


def show(options: argparse.Namespace) -> None:
    """Show the public halves of this user's keys: they are no secret."""
    from ..wire import keys

    found = {name: keys.read_pair(name).public.hex() for name in (keys.DAEMON, keys.CLIENT)}
    print_json(found) if options.json else print_lines("\n".join(f"{name:6} {key}" for name, key in found.items()))


def allow(options: argparse.Namespace) -> None:
    """Let a client on another host use all machines of this user that listen, in a role."""
    from ..wire import keys

    client = keys.AuthorizedClient(keys.parse_role(options.role), keys.parse_key(options.key), options.comment)
    keys.allow_client(keys.clients_path(), client)
    say(f"{options.comment or client.key} may {client.role.value}")


def revoke(options: argparse.Namespace) -> None:
    """Shut a client out again, at once."""
    from ..wire import keys

    for client in keys.revoke_client(keys.clients_path(), options.who):
        say(f"{client.comment or client.key} is shut out")


def list_clients(options: argparse.Namespace) -> None:
    """List the clients that are allowed, and their roles."""
    from ..wire import keys

    clients = keys.read_clients(keys.clients_path()).values()
    rows = [{"role": client.role.value, "key": client.key, "comment": client.comment} for client in clients]
    print_rows(rows, ("role", "key", "comment"), options.json)


def trust(options: argparse.Namespace) -> None:
    """Remember the key of a daemon on another host, so that no other can pretend to be it."""
    from ..errors import UsageError
    from ..wire import keys
    from ..wire.endpoints import parse_remote

    remote = parse_remote(options.address)
    if remote.scheme != "tcp":
        raise UsageError("ssh knows the keys of its hosts itself; give tcp://ADDRESS:PORT")
    keys.trust_daemon(remote.place, options.key)
