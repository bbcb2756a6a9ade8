"""A CA that is limited by name constraints signs for the names that it may, and for no others beside them.

mitmproxy puts every name into a certificate that the origin's has, and its own address for clients that send no SNI. A
single one that the CA may not sign for has clients refuse the whole certificate (RFC 5280, section 6.1.3 b).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from cryptography import x509
from mitmproxy.certs import CertStore

from proxy_policies.certificates.name_constraints import allows, constraints_of
from proxy_policies.patch import Kind, Patch


def _leave_out_others(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_cert(
        self: CertStore, commonname: str | None, sans: Iterable[x509.GeneralName], *arguments: Any, **named: Any
    ) -> Any:
        names = list(sans)
        constraints = constraints_of(self.default_ca.to_cryptography())
        if constraints is not None and (allowed := [name for name in names if allows(constraints, name)]):
            # OpenSSL takes a common name that is an address for a domain's, and refuses it.
            commonname = next((name.value for name in allowed if isinstance(name, x509.DNSName)), None)
            names = allowed
        return original(self, commonname, names, *arguments, **named)

    return get_cert


PATCH = Patch(
    owner=CertStore,
    attribute="get_cert",
    wrap=_leave_out_others,
    kind=Kind.SEAM,
    seen_on="12.2.1 to 12.3.1",
    why="clients refuse what a CA with name constraints signs, where the origin's certificate has other names, too",
    upstream="not reported, a feature: `CertStore.get_cert` takes all names of the origin's certificate over",
    remove_when="mitmproxy signs no names that its CA may not sign for",
    test="tests/patches/test_permitted_names.py::test_names_that_the_ca_may_not_sign_for_are_left_out",
    source_sha256={"12.2.1 to 12.3.1": "27b572900de29d3246ce943563f5ca014fbc377a51cf265107d44999b6c50eac"},
)
