# SPDX-License-Identifier: BSD-2-Clause
# service_path.py PREFIX VIP VIP6 MODE - ICMP errors and fragments to a service, for service_path_test.sh
#
# Namespaces PREFIX-out (client) and PREFIX-r (router before the balancer) are outside; PREFIX-g1 .. g3 have a server each,
# here. Sockets are made inside them; what comes to a backend is captured there. Ends with an AssertionError, or 0.
import ctypes
import logging
import os
import select
import socket
import sys
import threading
import zlib

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import IP, TCP, UDP, Ether, ICMP, Raw, IPv6, IPerror, IPv6ExtHdrFragment
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded

PREFIX, VIP, VIP6, MODE = sys.argv[1:5]
BACKENDS = ("g1", "g2", "g3")
PORT = 9000  # of the servers
WAIT_S = 5
libc = ctypes.CDLL(None, use_errno=True)


def in_netns(name, make):
    """What make() returns, made in a namespace."""
    old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    new = os.open(f"/run/netns/{PREFIX}-{name}", os.O_RDONLY)
    try:
        assert libc.setns(new, 0) == 0, os.strerror(ctypes.get_errno())
        return make()
    finally:
        assert libc.setns(old, 0) == 0
        os.close(old)
        os.close(new)


def packet_socket(name):
    def make():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        sock.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        sock.bind(("eth0", 3))
        return sock

    return in_netns(name, make)


# --- who serves: "NAME" and what was asked, in one piece


def tcp_server(name):
    def make():
        sock = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
        return sock

    sock = in_netns(name, make)

    def one(client):
        while data := client.recv(2048):
            client.sendall(name.encode() + b" " + data)

    def run():
        while True:
            client, _ = sock.accept()
            threading.Thread(target=one, args=(client,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def udp_socket(name, family):
    sock = in_netns(name, lambda: socket.socket(family, socket.SOCK_DGRAM))
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: IP_PMTUDISC_DONT
    return sock


def udp_server(name):
    for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        sock = in_netns(name, lambda: socket.socket(family, socket.SOCK_DGRAM))
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, 10, 0)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((any_address, PORT))

        def run(sock=sock):
            while True:
                data, peer = sock.recvfrom(65535)
                sock.sendto(name.encode() + b" " + data, peer)

        threading.Thread(target=run, daemon=True).start()


def ask(sock, text=b"x"):
    """Who answers on this connection."""
    sock.sendall(text)
    return sock.recv(2048).split(b" ")[0].decode()


def connect(vip):
    """A connection to each of the backends."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    connections = {}
    for _ in range(100):
        sock = in_netns("out", lambda: socket.socket(family, socket.SOCK_STREAM))
        sock.settimeout(WAIT_S)
        sock.connect((vip, 80))
        connections.setdefault(ask(sock), sock)
        if len(connections) == len(BACKENDS):
            return connections
    raise AssertionError(f"not every backend serves {vip}: {list(connections)}")


# --- what comes to a backend


def captured(sock, wanted):
    """All frames so far, up to and including the first that is wanted."""
    frames = []
    while select.select([sock], [], [], WAIT_S)[0]:
        frame = Ether(sock.recv(65535))
        frames.append(frame)
        if wanted(frame):
            return frames
    raise AssertionError("the packet did not come: " + ", ".join(f.summary() for f in frames))


def drain(sock):
    while select.select([sock], [], [], 0)[0]:
        sock.recv(65535)


def is_error(frame):
    return frame.haslayer(ICMP) or frame.haslayer(ICMPv6PacketTooBig) or frame.haslayer(ICMPv6TimeExceeded)


def is_request(text):
    return lambda frame: frame.haslayer(TCP) and text in bytes(frame[TCP].payload)


def intact(packet):
    """Checksums are what scapy makes of the same fields."""
    again = packet.copy()
    for layer in (IP, ICMP, ICMPv6PacketTooBig, ICMPv6TimeExceeded):
        if again.haslayer(layer):
            name = "cksum" if hasattr(again[layer], "cksum") else "chksum"
            again[layer].delfieldval(name)
    return bytes(packet.__class__(bytes(again))) == bytes(packet)


# --- errors about a connection, from a router or the client itself


def quote(vip, client, client_port, proto):
    """As the router saw the packet of the service that was too big."""
    ip = IPv6(src=vip, dst=client) if ":" in vip else IP(src=vip, dst=client, flags="DF", id=77)
    l4 = TCP(sport=80, dport=client_port, seq=12345, flags="A") if proto == "tcp" else UDP(sport=80, dport=client_port)
    return bytes(ip / l4 / Raw(b"q" * 40))[:68]


def error(vip, sender, kind, quoted):
    if ":" in vip:
        icmp = ICMPv6PacketTooBig(mtu=1280) if kind == "too big" else ICMPv6TimeExceeded()
        return IPv6(src=sender, dst=vip) / icmp / Raw(quoted)
    icmp = ICMP(type=3, code=4, nexthopmtu=1300) if kind == "too big" else ICMP(type=11)
    return IP(src=sender, dst=vip) / icmp / Raw(quoted)


def quoted_tuple(frame):
    layer = next(x for x in (ICMP, ICMPv6PacketTooBig, ICMPv6TimeExceeded) if frame.haslayer(x))
    payload = bytes(frame[layer].payload)
    packet = IPv6(payload) if IPv6 in frame else IP(payload)
    if IP in packet:  # its checksum still stands, over what was changed, too
        header = IP(bytes(packet)[:20])
        was = header.chksum
        del header.chksum
        assert IP(bytes(header)).chksum == was, "checksum of the quoted header"
    l4 = packet[TCP] if packet.haslayer(TCP) else packet[UDP]
    return packet.src, l4.sport, packet.dst, l4.dport


def errors(vip, captures, router):
    connections = connect(vip)
    six = ":" in vip
    l3 = IPv6 if six else IP
    for who, sock in connections.items():
        client, client_port = sock.getsockname()[:2]
        for sock_of in captures.values():
            drain(sock_of)
        assert ask(sock, b"tuple") == who
        # what the connection is at its backend
        request = captured(captures[who], is_request(b"tuple"))[-1]
        inside = (request[l3].dst, request[TCP].dport, request[l3].src, request[TCP].sport)
        mac = in_netns("r", lambda: open("/sys/class/net/eth0/address").read().strip())
        for sender in (ROUTER6 if six else ROUTER, client):
            for kind in ("too big", "time exceeded"):
                packet = error(vip, sender, kind, quote(vip, client, client_port, "tcp"))
                router.send(bytes(Ether(src=mac, dst=UPLINK_MAC) / packet))
                frame = captured(captures[who], is_error)[-1]
                what = f"{kind} from {sender} to {vip} in mode {MODE}"
                assert quoted_tuple(frame) == inside, f"{what}: quotes {quoted_tuple(frame)}, not {inside}"
                assert frame[l3].dst == inside[0], f"{what}: to {frame[l3].dst}"
                # a router keeps its address, the client has that by which the backend knows it
                wanted = inside[2] if sender == client else sender
                assert frame[l3].src == wanted, f"{what}: from {frame[l3].src}, not {wanted}"
                assert intact(frame[l3]), f"{what}: checksums: {frame.show(dump=True)}"
        # nobody else got one: what was sent later on the other connections is there
        for other in BACKENDS:
            assert ask(connections[other], b"after") == other
            if other != who:
                frames = captured(captures[other], is_request(b"after"))
                assert not any(map(is_error, frames)), f"an error for {who} came to {other}"
            else:
                drain(captures[other])
    # about a connection that does not exist: nobody gets it
    packet = error(vip, ROUTER6 if six else ROUTER, "too big", quote(vip, client, 1, "tcp"))
    for sock_of in captures.values():
        drain(sock_of)
    router.send(bytes(Ether(src=mac, dst=UPLINK_MAC) / packet))
    for who, sock in connections.items():
        assert ask(sock, b"forged") == who
        assert not any(map(is_error, captured(captures[who], is_request(b"forged")))), "a forged error came through"


# --- datagrams in fragments, both ways


def exchange(sock, sent):
    """The answer. In IPv6 a router cuts nothing: an answer may be lost, and its sender told."""
    for last in (False, True):
        sock.send(sent)
        try:
            return sock.recv(65535)
        except TimeoutError:
            if last or sock.family == socket.AF_INET:
                raise


def fragments(vip, captures):
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    served = set()
    for sock_of in captures.values():
        drain(sock_of)
    data = b"f" * 3977
    for turn in range(40):
        sock = udp_socket("out", family)
        sock.settimeout(1 if family == socket.AF_INET6 else WAIT_S)
        sock.connect((vip, 80))
        for again in range(3):
            sent = b"%d %d " % (turn, again) + data
            who, got = exchange(sock, sent).split(b" ", 1)
            assert zlib.crc32(got) == zlib.crc32(sent), "a datagram changed"
            if again:
                assert who == before, "another backend for the same flow"
            before = who
        served.add(who.decode())
    assert served == set(BACKENDS), f"only {served} served datagrams in fragments"
    in_pieces = sum(
        1
        for sock_of in captures.values()
        for frame in all_of(sock_of)
        if frame.haslayer(IPv6ExtHdrFragment) or (IP in frame and (frame[IP].flags.MF or frame[IP].frag))
    )
    assert in_pieces >= 40 * 3 * 3, f"only {in_pieces} fragments came to the backends"


def all_of(sock):
    while select.select([sock], [], [], 0)[0]:
        yield Ether(sock.recv(65535))


ROUTER, ROUTER6, UPLINK_MAC = sys.argv[5:8]
for backend in BACKENDS:
    tcp_server(backend)
    udp_server(backend)
CAPTURES = {backend: packet_socket(backend) for backend in BACKENDS}
for sock_of_backend in CAPTURES.values():
    sock_of_backend.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
ROUTER_SOCKET = packet_socket("r")
for address in (VIP, VIP6):
    errors(address, CAPTURES, ROUTER_SOCKET)
    fragments(address, CAPTURES)
    print(f"{MODE} {address}: errors and fragments came where they belong")
os._exit(0)
