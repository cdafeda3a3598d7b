# A right broadcast client: it tells servers apart by their addresses.
import json, os, socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))
seen = set()
while True:
    data, server = sock.recvfrom(65535)
    try:
        m = json.loads(data)
        number, state = int(m["message_id"]), str(m["state"])
    except (ValueError, KeyError, TypeError, RecursionError):
        continue
    if (server, number) not in seen:
        seen.add((server, number))
        print(f"{m.get('timestamp')}: {state}, number {number}")
    sock.sendto(f"Client pete received message {number}".encode(), server)
