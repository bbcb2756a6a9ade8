"""A client of the shop, with `requests`: logs in, pages through the products, orders one and reads the order."""

import re
import sys

import requests

from tests.support.shop_app import PASSWORD


def shop(base: str) -> None:
    session = requests.Session()
    page = session.get(f"{base}/", timeout=100)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    form = {"csrf_token": token[1], "user": "joe", "password": PASSWORD}
    listing = session.post(f"{base}/login", data=form, timeout=100).json()
    names = [item["name"] for item in listing["items"]]
    while listing["next"]:
        listing = session.get(listing["next"], timeout=100).json()
        names += [item["name"] for item in listing["items"]]
    wanted = {"product": 3, "count": 2, "pin": listing["pin"] + 0}
    made = session.post(f"{base}/api/orders", json=wanted, headers={"X-CSRF-Token": listing["csrf"]}, timeout=100)
    order = session.get(base + made.json()["url"], timeout=100).json()
    print(f"{len(names)} products, ordered {order['count']} of {order['product']}")


if __name__ == "__main__":
    shop(sys.argv[1])
