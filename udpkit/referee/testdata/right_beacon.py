# A right beacon.
import os, socket, threading, time
to = (os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["UDPKIT_LISTEN"])))
def hello():
    while True:
        sock.sendto(b"HELLO|pete|", to)
        time.sleep(0.3)
threading.Thread(target=hello, daemon=True).start()
seen = set()
while True:
    data, _ = sock.recvfrom(65535)
    parts = data.decode(errors="replace").split("|")
    if parts[0] == "HELLO" and len(parts) > 1 and parts[1] not in seen:
        seen.add(parts[1])
        print(parts[1], "is there")
