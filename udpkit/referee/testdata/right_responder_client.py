# A right client of the responder: it asks again.
import os, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"])))
sock.settimeout(0.3)
for attempt in range(5):
    try:
        sock.send(b"hello")
        print(sock.recv(65535).decode())
        break
    except OSError as e:
        print("again:", e)
