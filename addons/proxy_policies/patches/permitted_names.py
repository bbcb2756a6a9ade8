"""Makes a CA with name constraints sign only the names it is permitted to.

mitmproxy copies every name of the origin's certificate, and adds its own address for clients that send no SNI. A
single name that the CA may not sign makes clients reject the whole certificate (RFC 5280, section 6.1.3 b).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from cryptography import x509
from mitmproxy.certs import CertStore

from proxy_policies.certificates.name_constraints import allows, constraints_of
from proxy_policies.patch import Patch, PatchKind


def _leave_out_others(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def get_cert(
        self: CertStore, commonname: str | None, sans: Iterable[x509.GeneralName], *arguments: Any, **named: Any
    ) -> Any:
        names = list(sans)
        constraints = constraints_of(self.default_ca.to_cryptography())
        if constraints is not None and (allowed := [name for name in names if allows(constraints, name)]):
            # OpenSSL treats an address in the common name as a domain name, and rejects it.
            commonname = next((name.value for name in allowed if isinstance(name, x509.DNSName)), None)
            names = allowed
        return original(self, commonname, names, *arguments, **named)

    return get_cert


PATCH = Patch(
    owner=CertStore,
    attribute="get_cert",
    wrap=_leave_out_others,
    kind=PatchKind.SEAM,
    seen_on="12.2.1 to 12.3.1",
    why="clients reject certificates of a CA with name constraints if the origin's certificate has other names, too",
    upstream="not reported, a feature: `CertStore.get_cert` copies all names of the origin's certificate",
    remove_when="mitmproxy does not sign names that its CA may not sign",
    test="tests/patches/test_permitted_names.py::test_names_that_the_ca_may_not_sign_for_are_left_out",
    source_sha256={"12.2.1 to 12.3.1": "27b572900de29d3246ce943563f5ca014fbc377a51cf265107d44999b6c50eac"},
)
