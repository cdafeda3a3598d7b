# A right chat client.
import os, socket, sys, threading

sock = socket.create_connection((os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"])))

def show():
    for line in sock.makefile("r", errors="replace", newline="\n"):
        print(line.rstrip())
    print("the server has ended the connection")
    os._exit(0)

threading.Thread(target=show, daemon=True).start()
for line in sys.stdin:
    sock.sendall(line.encode())
