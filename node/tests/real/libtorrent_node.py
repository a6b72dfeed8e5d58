"""A node of libtorrent's DHT on loopback, told what to do line by line.

Each line on standard input is a JSON object, each line on standard output the answer to one. `salt` and `value` are text.

  {"do": "join", "port": N}                              waits until the node there is in the routing table
  {"do": "put", "seed": HEX, "key": HEX, "salt": S, "value": S}    mutable; a put takes the found seq + 1
  {"do": "get", "key": HEX, "salt": S}
  {"do": "put-immutable", "value": S}
  {"do": "get-immutable", "target": HEX}
"""

import hashlib
import json
import sys
import time

import libtorrent as lt

PATIENCE_SECONDS = 15

session = lt.session({
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    # All nodes are on this machine. Of one address one node only enters the table, the first: else those that have put something
    # would, be they read-only or gone, and each lookup would wait for them for 15 s. Lookups go on to all.
    "dht_restrict_routing_ips": True,
    "dht_restrict_search_ips": False,
    "dht_enforce_node_id": False,
    "dht_ignore_dark_internet": False,
    "dht_prefer_verified_node_ids": False,
    "dht_block_ratelimit": 1000,
    "dht_upload_rate_limit": 1000000,
    "alert_mask": lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification
    | lt.alert.category_t.stats_notification | lt.alert.category_t.status_notification
    | lt.alert.category_t.error_notification,
})


def value_of(alert):
    """The value of an item in hexadecimal digits; none where nothing was found."""
    try:
        return alert.item["value"].hex()
    except RuntimeError:
        return None


def alert_of(kind, take):
    """The first thing but None that `take` makes of an alert of this kind."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        session.wait_for_alert(100)
        taken = [take(alert) for alert in session.pop_alerts() if isinstance(alert, kind)]
        for thing in taken:
            if thing is not None:
                return thing
    raise TimeoutError(f"no {kind.__name__} within {PATIENCE_SECONDS} s")


def join(order):
    until = time.monotonic() + PATIENCE_SECONDS
    session.add_dht_node(("127.0.0.1", order["port"]))
    while time.monotonic() < until:
        session.post_dht_stats()
        nodes = alert_of(lt.dht_stats_alert, lambda alert: sum(it["num_nodes"] for it in alert.routing_table))
        if nodes > 0:
            return {"nodes": nodes, "port": session.listen_port()}
        time.sleep(0.05)
    raise TimeoutError("the node there does not enter the routing table")


def expanded(seed):
    half = bytearray(hashlib.sha512(seed).digest())
    half[0] &= 248
    half[31] &= 63
    half[31] |= 64
    return bytes(half)


def put(order):
    seed, key = bytes.fromhex(order["seed"]), bytes.fromhex(order["key"])
    session.dht_put_mutable_item(expanded(seed), key, order["value"].encode(), order["salt"].encode())
    return alert_of(lt.dht_put_alert, lambda done: {"taken": done.num_success, "seq": done.seq})


def get(order):
    session.dht_get_mutable_item(bytes.fromhex(order["key"]), order["salt"].encode())
    # Others come on the way: only the last says that no newer one is known.
    return alert_of(
        lt.dht_mutable_item_alert,
        lambda got: {"seq": got.seq, "value": value_of(got)} if got.authoritative else None,
    )


def put_immutable(order):
    target = session.dht_put_immutable_item(order["value"].encode())
    return {"target": str(target), "taken": alert_of(lt.dht_put_alert, lambda done: done.num_success)}


def get_immutable(order):
    session.dht_get_immutable_item(lt.sha1_hash(bytes.fromhex(order["target"])))
    return alert_of(lt.dht_immutable_item_alert, lambda got: {"value": value_of(got)})


ORDERS = {"join": join, "put": put, "get": get, "put-immutable": put_immutable, "get-immutable": get_immutable}

for line in sys.stdin:
    order = json.loads(line)
    try:
        answer = ORDERS[order["do"]](order)
    except Exception as error:  # pylint: disable=broad-except
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
