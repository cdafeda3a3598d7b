# A right echo client: it waits for a reply, but not for ever, and only for one of its server.
import os, socket, sys

server = (os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(server)
sock.settimeout(0.5)
for line in sys.stdin:
    question = line.rstrip("\n").encode()
    try:
        sock.send(question)
        while True:
            reply = sock.recv(65535)
            if reply == question:
                print("reply:", reply.decode())
                break
    except OSError as e:
        print("no reply:", e)
