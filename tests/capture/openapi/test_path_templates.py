"""Ids in paths become parameters, and nothing else does."""

import pytest

from proxy_policies.capture.openapi.path_templates import template_of

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
PATHS = {
    "/": "/",
    "": "/",
    "/orders": "/orders",
    "/orders/17": "/orders/{orderId}",
    "/orders/17/": "/orders/{orderId}/",
    "/orders/17/items/4": "/orders/{orderId}/items/{itemId}",
    "/v1/17": "/v1/{id}",
    "/17/18": "/{id}/{id2}",
    "/orders/1/orders/2/orders/3": "/orders/{orderId}/orders/{orderId2}/orders/{orderId3}",
    f"/categories/{UUID}": "/categories/{categoryId}",
    "/boxes/9": "/boxes/{boxId}",
    "/status/9": "/status/{statusId}",
    "/access/9": "/access/{accessId}",
    "/user_accounts/9": "/user_accounts/{userAccountId}",
    "/reset/secret_0123456789abcdef_token032": "/reset/{resetId}",
    "/calendar/2026-11-28T10:00:00Z": "/calendar/{calendarId}",
    "/a%7Bb%7D/{c}": "/a%7Bb%7D/%7Bc%7D",
    "/orders/latest": "/orders/latest",
    "/products/nike-air-max-90": "/products/nike-air-max-90",
    "/assets/app.js": "/assets/app.js",
    "/%E2%82%AC/7": "/%E2%82%AC/{id}",
}


@pytest.mark.parametrize(("path", "template"), PATHS.items(), ids=PATHS)
def test_a_path_has_its_template(path: str, template: str) -> None:
    assert template_of(path).template == template


def test_the_values_of_parameters_are_told() -> None:
    assert template_of("/orders/17/items/4%36").values == (("orderId", "17"), ("itemId", "46"))
