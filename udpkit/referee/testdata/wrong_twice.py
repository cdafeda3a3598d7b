# Wrong: it shows what comes twice twice.
import json, os, socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))
while True:
    data, server = sock.recvfrom(65535)
    m = json.loads(data)
    print(m["state"], m["message_id"])
    sock.sendto(f"Client pete received message {m['message_id']}".encode(), server)
