"""A small real web application: Flask, SQLite, sessions, CSRF tokens, pages; a time and a random id in each response.

`python tests/support/shop_app.py FIRST_ORDER CHANGE…` prints its port; each CHANGE is a regression in this build.
"""

import secrets
import sqlite3
import sys
import threading
import time
import uuid
import zlib
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, jsonify, redirect, render_template_string, request
from werkzeug.serving import make_server

PASSWORD = "correct-horse-9"
PAGE = """<!doctype html><title>Shop</title>
<h1>{{ heading }}</h1>
<form method=post action=/login><input type=hidden name="csrf_token" value="{{ csrf }}">
<input name=user><input name=password type=password></form>
<p>Rendered at {{ now }} by node {{ node }}, visit {{ visit }}</p>
"""


def make_app(first_order: int, changes: set[str]) -> Flask:  # noqa: C901 - an application is a list of views
    app = Flask(__name__)
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    lock = threading.Lock()
    database.executescript("""
        create table sessions (sid text primary key, csrf text, user text);
        create table products (id integer primary key, name text, price real);
        create table orders (id integer primary key autoincrement, product integer, count integer);
    """)
    database.executemany("insert into products values (?, ?, ?)", [(n, f"Product {n}", n * 1.5) for n in range(1, 26)])
    database.execute("insert into orders values (?, 1, 1)", (first_order - 1,))
    node, visits = secrets.token_hex(3), iter(range(secrets.randbelow(10**6), 10**9))

    def query(sql: str, *values: Any) -> list[Any]:
        with lock:
            return database.execute(sql, values).fetchall()

    @app.before_request
    def session() -> None:
        sid = request.cookies.get("sid", "")
        rows = query("select sid, csrf, user from sessions where sid = ?", sid)
        if not rows:
            rows = [(secrets.token_urlsafe(16), secrets.token_urlsafe(16), None)]
            query("insert into sessions values (?, ?, ?)", *rows[0])
        g.sid, g.csrf, g.user = rows[0]

    @app.after_request
    def stamp(response: Response) -> Response:
        if request.cookies.get("sid") != g.sid:
            response.set_cookie("sid", g.sid, httponly=True)
        response.headers["X-Request-Id"] = str(uuid.uuid4())
        response.headers["X-Node"] = f"{node}/{next(visits)}"
        if "header" in changes:
            response.headers["X-Frame-Options"] = "DENY"
        return response

    @app.get("/")
    def home() -> str:
        heading = "Welcome to the new shop" if "heading" in changes else "Welcome"
        now = datetime.now(UTC).isoformat()
        return render_template_string(PAGE, csrf=g.csrf, now=now, node=node, heading=heading, visit=next(visits))

    @app.post("/login")
    def login() -> Any:
        if request.form["csrf_token"] != g.csrf or request.form["password"] != PASSWORD:
            return jsonify(error="bad login"), 403
        query("update sessions set user = ? where sid = ?", request.form["user"], g.sid)
        return redirect("/api/products")

    @app.get("/api/products")
    def products() -> Any:
        page = int(request.args.get("page", 1))
        rows = query("select * from products order by id limit 10 offset ?", (page - 1) * 10)
        factor = 1.1 if "price" in changes else 1
        items = [
            {"id": n, "name": name, "price": round(price * factor, 2) if n == 3 else price} for n, name, price in rows
        ]
        following = f"{request.host_url}api/products?page={page + 1}" if len(items) == 10 else None
        return stamped(items=items, next=following, csrf=g.csrf, pin=pin())

    @app.post("/api/orders")
    def create() -> Any:
        if g.user is None or request.headers.get("X-CSRF-Token") != g.csrf:
            return jsonify(error="forbidden"), 403
        wanted = request.get_json()
        if wanted.pop("pin") != pin():
            return jsonify(error="not the session's pin"), 403
        query("insert into orders (product, count) values (?, ?)", wanted["product"], wanted["count"])
        number = query("select max(id) from orders")[0][0]
        return stamped(id=number, url=f"/api/orders/{number}", **wanted), 200 if "status" in changes else 201

    @app.get("/api/orders/<int:number>")
    def order(number: int) -> Any:
        rows = query("select id, product, count from orders where id = ?", number)
        if "slow" in changes:
            time.sleep(0.5)
        if not rows or g.user is None:
            return jsonify(error="no such order"), 404
        found = dict(zip(("id", "product", "count"), rows[0], strict=True))
        if "gone" in changes:
            del found["count"]
        return stamped(**found)

    def pin() -> int:
        """Return the session's PIN, a number."""
        return 100_000 + zlib.crc32(g.csrf.encode()) % 900_000

    def stamped(**values: Any) -> Response:
        return jsonify(**values, at=time.time(), request_id=str(uuid.uuid4()))

    return app


def main() -> None:
    first, *changes = sys.argv[1:]
    server = make_server("127.0.0.1", 0, make_app(int(first), set(changes)), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
