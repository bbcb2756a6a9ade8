"""The home/work reverse tunnel: services behind a firewall, reached from where the clients are.

`work` dials out to `home`; clients come to home. The six links: (1) work's **command** connection to home; (2) a
**client** connection to home; (3) home's request over the command connection ("begin data connect"), which makes work
open a **data** connection to home; (4) work's **service** connection; (5) work links service and data; (6) home links
data and client.

The wire (version 1; `protocol/frames.py` has the frames, `protocol/messages.py` the messages, JSON in them):

    command  work → HELLO name, nonce, version, heartbeat, capabilities
             home ← CHALLENGE nonce, version, heartbeat, capabilities
             work → PROVE proof               HMAC-SHA256(key, "work", nonces, digest of home's certificate, name)
             home ← WELCOME proof, home       the same with "home"; without a secret both proofs are empty
             work → OFFER services, spares    again whenever they change
             home ← BEGIN token, service, client, server     or SPARE token, to fill the pool
             work → REFUSE reason, text, token               when there is no data connection to say it on
    data     work → CLAIM work, token         the first frame says that this is no command connection
             home ← USE service, client, server              only to a spare, when a client has come
             work → READY, or REFUSE reason, text
             then DATA, EOF, RST both ways
    both     PING whenever nothing else was said for a heartbeat; either side may REFUSE and close

A token is random, for one work, for one data connection, and short-lived. In certificate mode the data connection must
also show the certificate of the work that the token was made for; in secret mode work pins home's certificate to the
one that the command connection's proofs covered. What both list in `capabilities` may be used: that, and frame types
above the known, are the room left for UDP.
"""
