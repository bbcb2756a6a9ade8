"""The home/work reverse tunnel: services behind a firewall, reached from another network.

`work` connects to `home`; clients connect to home. A session takes six steps: (1) work's **command** connection to
home; (2) a **client** connection to home; (3) home's request over the command connection ("begin data connect"), which
makes work open a **data** connection to home; (4) work's **service** connection; (5) work links service and data;
(6) home links data and client.

The protocol (version 1; `protocol/frames.py` has the frames, `protocol/messages.py` the messages, which are JSON):

    command  work → HELLO name, nonce, version, heartbeat, capabilities
             home ← CHALLENGE nonce, version, heartbeat, capabilities
             work → PROVE proof               HMAC-SHA256(key, "work", nonces, digest of home's certificate, name)
             home ← WELCOME proof, home       the same with "home"; without a secret both proofs are empty
             work → OFFER services, spares    again whenever they change
             home ← BEGIN token, service, client, server     or SPARE token, to fill the pool
             work → REFUSE reason, text, token               if there is no data connection for it
    data     work → CLAIM work, token         the first frame distinguishes it from a command connection
             home ← USE service, client, server              only to a spare, once there is a client
             work → READY, or REFUSE reason, text
             then DATA, EOF, RST in both directions
    both     PING if nothing else was sent for a heartbeat; either side may REFUSE and close

A token is random, short-lived, and valid for one data connection of one work. In certificate mode the data connection
must also present the certificate of the work for which the token was made; in secret mode work requires the same
certificate of home as in the command connection's proofs. Capabilities that both sides list may be used: these, and
unused frame types, allow for extensions such as UDP.
"""
