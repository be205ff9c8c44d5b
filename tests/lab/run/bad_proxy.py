#!/usr/bin/env python3
"""bad_proxy.py PORT trickle|cache: a web proxy that passes answers on at half the speed of a 64 kbit/s stream, as a virus scanner or too thin
a line does; or one that answers out of a cache, though it was told not to keep anything. For the tests only."""
import socket, sys, threading, time
from urllib.parse import urlsplit

port, trickles = int(sys.argv[1]), sys.argv[2] == "trickle"
rate = 4000
cache = {}


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(65536)
        if not more:
            return
        head += more
    line, rest = head.split(b"\r\n", 1)
    method, target, version = line.decode().split(" ")
    key = (target, b"xPlayStrm" in head)
    if key in cache:
        status, fields = cache[key].split(b"\r\n", 1)
        client.sendall(status + b"\r\nAge: 60\r\n" + fields)
        return client.close()
    url = urlsplit(target)
    server = socket.create_connection((url.hostname, url.port or 80))
    server.sendall(f"{method} {url.path} {version}\r\n".encode() + rest)
    answer = b""
    while more := server.recv(rate // 20 if trickles else 65536):
        client.sendall(more)
        if trickles:
            time.sleep(len(more) / rate)
        else:
            answer += more
    if not trickles:
        cache[key] = answer
    client.close()


listener = socket.create_server(("", port))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
