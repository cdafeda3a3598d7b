# A right responder, which works on several questions at once.
import os, socket
from concurrent.futures import ThreadPoolExecutor

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))

def handle(data, client):
    print(client, data.decode(errors="replace"))
    sock.sendto(b"Message received", client)

with ThreadPoolExecutor(8) as workers:
    while True:
        workers.submit(handle, *sock.recvfrom(65535))
