"""A broadcast client, written from the wire format: client.py PORT COUNT ID"""
import json
import socket
import sys

port, count, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if hasattr(socket, "SO_REUSEPORT"):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
sock.bind(("", port))
sock.settimeout(20)
print(f"listening on port {sock.getsockname()[1]}", flush=True)

last = -1
for _ in range(count):
    while True:
        data, server = sock.recvfrom(1024)
        message = json.loads(data.decode())
        if message["message_id"] > last:
            break
    last = message["message_id"]
    print(f"[{message['timestamp']}] {message['state']} {message['message_id']}", flush=True)
    sock.sendto(f"Client {name} received message {last}".encode(), server)
