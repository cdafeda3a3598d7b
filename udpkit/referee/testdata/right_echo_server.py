# A right echo server.
import os, socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))
while True:
    data, client = sock.recvfrom(65535)
    sock.sendto(data, client)
