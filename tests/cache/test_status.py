"""Cache-Status (RFC 9211)."""

from proxy_policies.cache.status import CacheStatus


def test_cache_status_is_a_structured_field() -> None:
    status = CacheStatus(fwd="stale", fwd_status=304, stored=True, collapsed=True, detail='odd "é"\n')
    expected = r'proxy-policies; fwd=stale; fwd-status=304; stored; collapsed; detail="odd \"?\"?"'
    assert str(status) == expected


def test_a_hit_and_what_waited_in_vain() -> None:
    assert str(CacheStatus(hit=True, ttl=9.7)) == "proxy-policies; hit; ttl=9"
    assert str(CacheStatus(fwd="uri-miss", collapsed=False)) == "proxy-policies; fwd=uri-miss; collapsed=?0"
