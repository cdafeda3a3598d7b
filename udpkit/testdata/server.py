"""A broadcast server, written from the wire format: server.py ADDRESS PORT COUNT"""
import json
import socket
import sys
from datetime import datetime
from itertools import cycle

address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.settimeout(0.2)
states = cycle(["ACTIVE", "STANDBY", "MAINTENANCE", "ERROR"])

for number in range(count):
    message = {"timestamp": datetime.now().isoformat(), "state": next(states), "message_id": number}
    sock.sendto(json.dumps(message).encode(), (address, port))
    try:
        data, client = sock.recvfrom(1024)
        print(data.decode(), flush=True)
    except socket.timeout:
        print("no answer", flush=True)
