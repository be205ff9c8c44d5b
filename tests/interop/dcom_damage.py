# Sends server_sim what no honest DCOM client sends: python3 dcom_damage.py HOST. Raises where an answer is not what it must be.
import socket
import struct
import sys
import uuid

host = sys.argv[1]
NDR = uuid.UUID('8a885d04-1ceb-11c9-9fe8-08002b104860')
EPM = uuid.UUID('e1af8308-5d1f-11c9-91a4-08002b14a0fa')
CONV = uuid.UUID('333a2276-0000-0000-0d00-00809c000000')
STRANGER = uuid.UUID('00000000-1111-2222-3333-444444444444')
BIND, BIND_ACK, BIND_NAK, REQUEST, RESPONSE, FAULT = 11, 12, 13, 0, 2, 3


def pdu(kind, body, flags=3, call=1, big=False, length=None):
    order = '>' if big else '<'
    drep = b'\x00\0\0\0' if big else b'\x10\0\0\0'
    return struct.pack('BBBB', 5, 0, kind, flags) + drep + struct.pack(order + 'HHI', length or 16 + len(body), 0, call) + body


def bind(interfaces=(EPM,), big=False):
    order = '>' if big else '<'
    wire = (lambda one: one.bytes) if big else (lambda one: one.bytes_le)
    body = struct.pack(order + 'HHIBxxx', 4280, 4280, 0, len(interfaces) % 256)
    for number, interface in enumerate(interfaces):
        body += struct.pack(order + 'HBx', number, 1) + wire(interface) + struct.pack(order + 'I', 3)
        body += wire(NDR) + struct.pack(order + 'I', 2)
    return pdu(BIND, body, big=big)


def request(stub, opnum=2, flags=3, big=False, length=None):
    return pdu(REQUEST, struct.pack(('>' if big else '<') + 'IHH', len(stub), 0, opnum) + stub, flags, big=big, length=length)


def lookup(big=False):
    order = '>' if big else '<'
    return request(struct.pack(order + '4I', 0, 0, 0, 1) + bytes(20) + struct.pack(order + 'I', 500), big=big)


class Peer:
    def __init__(self):
        self.socket = socket.create_connection((host, 135), 10)

    def say(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError:  # the server has had enough already
            pass
        return self

    def hear(self):
        """One PDU: its type and its octets; nothing when the server has closed."""
        got = b''
        try:
            while len(got) < 10 or len(got) < struct.unpack_from('<H', got, 8)[0]:
                more = self.socket.recv(65536)
                if not more:
                    return None, got
                got += more
        except ConnectionResetError:
            return None, got
        return got[2], got

    def expect(self, kind, what):
        heard, octets = self.hear()
        assert heard == kind, '%s: type %s, not %s (%s)' % (what, heard, kind, octets.hex())
        return octets

    def closed(self, what):
        kind = self.hear()[0]
        if kind in (FAULT, BIND_NAK):  # says why, and closes
            kind = self.hear()[0]
        assert kind is None, '%s: the connection is still open (type %s)' % (what, kind)


def no_rpc():
    peer = Peer().say(b'GET / HTTP/1.0\r\n\r\n')
    assert struct.unpack_from('<H', peer.expect(BIND_NAK, 'HTTP'), 16)[0] == 4
    peer.closed('HTTP')


def lying_lengths():
    peer = Peer().say(pdu(BIND, b'', length=1))
    peer.expect(BIND_NAK, 'frag_length 1')
    peer = Peer().say(bind())
    peer.expect(BIND_ACK, 'bind')
    # 40 octets are announced, 30 come, then the end: nothing may be left over for whoever is next.
    peer.say(request(bytes(16), length=40)[:30]).socket.close()


def endless_fragments():
    peer = Peer().say(bind())
    peer.expect(BIND_ACK, 'bind')
    peer.say(request(bytes(4000), flags=1))
    for _ in range(400):
        peer.say(request(bytes(4000), flags=0))
    peer.closed('1.6 MB in fragments without a last one')


def many_contexts():
    peer = Peer().say(bind([EPM] * 200))
    peer.closed('200 contexts')


def strangers():
    peer = Peer().say(bind([STRANGER]))
    octets = peer.expect(BIND_ACK, 'unknown interface')
    at = 24 + 2 + struct.unpack_from('<H', octets, 24)[0]
    result, reason = struct.unpack_from('<HH', octets, (at + 3) // 4 * 4 + 4)
    assert (result, reason) == (2, 1), 'unknown interface: result %d, reason %d' % (result, reason)
    peer.say(lookup())
    peer.expect(FAULT, 'a call to a refused interface')


def faults():
    peer = Peer().say(bind())
    peer.expect(BIND_ACK, 'bind')
    peer.say(request(b'', opnum=99))
    assert struct.unpack_from('<I', peer.expect(FAULT, 'unknown opnum'), 24)[0] == 0x1C010002
    peer.say(request(b'\x01\0\0'))
    assert struct.unpack_from('<I', peer.expect(FAULT, 'truncated stub'), 24)[0] == 0x6F7
    # ept_map whose tower says 5 floors in 10 octets
    tower = struct.pack('<H', 5) + b'\x13\0\x0d\0\0\0\0\0'
    peer.say(request(struct.pack('<III', 0, 1, len(tower)) + struct.pack('<I', len(tower)) + tower + bytes(30), opnum=3))
    kind, octets = peer.hear()
    assert kind in (FAULT, RESPONSE), 'truncated tower: type %s' % kind
    peer.say(lookup())
    peer.expect(RESPONSE, 'a good call after bad ones')


def big_endian():
    peer = Peer().say(bind(big=True))
    heard = peer.socket.recv(65536)
    assert heard[2] == BIND_ACK, 'big-endian bind: %s' % heard.hex()
    peer.say(lookup(big=True))
    heard = peer.socket.recv(65536)
    assert heard[2] == RESPONSE, 'big-endian lookup: %s' % heard.hex()


def hear_datagram(udp):
    """The next PDU that is no conv_who_are_you2; each of those is answered, as C706 asks of a client before anything is done for it."""
    while True:
        got = udp.recv(65536)
        if got[1] != REQUEST or uuid.UUID(bytes_le=got[24:40]) != CONV:
            return got
        answer = struct.pack('<I', 0) + uuid.uuid4().bytes_le + struct.pack('<I', 0)  # sequence number, address space, status
        header = bytearray(got[:80])
        header[1] = RESPONSE
        header[74:76] = struct.pack('<H', len(answer))
        udp.send(bytes(header) + answer)


def datagrams():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(10)
    udp.connect((host, 135))
    header = struct.pack('BBBB', 4, 0, 0, 0x20) + b'\x10\0\0\0'  # a request, marked idempotent
    header += bytes(16) + EPM.bytes_le + uuid.uuid4().bytes_le + struct.pack('<IIIHHHHHBB', 0, 3, 0, 2, 0xFFFF, 0xFFFF, 40, 0, 0, 0)
    call = header + struct.pack('<4I', 0, 0, 0, 1) + bytes(20) + struct.pack('<I', 1)
    for junk in (b'\x04', header[:79], b'\x05' + call[1:], header, bytes(1400)):
        udp.send(junk)  # no answer, no harm
    udp.send(call)
    first = hear_datagram(udp)
    while first[1] != RESPONSE:  # header alone: a fault
        first = hear_datagram(udp)
    udp.send(call)
    again = hear_datagram(udp)
    assert again[1] == RESPONSE and again[80:] == first[80:], 'a replayed call is not answered as before'


for damage in (no_rpc, lying_lengths, endless_fragments, many_contexts, strangers, faults, big_endian, datagrams):
    damage()
    print(damage.__name__, 'ok')
