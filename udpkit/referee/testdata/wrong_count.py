# Wrong: a server that counts acknowledgements, too.
import json, os, socket, time
from datetime import datetime

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(0.05)
number = 0
while True:
    message = {"timestamp": datetime.now().isoformat(), "state": ["ACTIVE", "STANDBY", "MAINTENANCE", "ERROR"][number % 4], "message_id": number}
    sock.sendto(json.dumps(message).encode(), (os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"])))
    end = time.time() + 0.1
    while time.time() < end:
        try:
            print(sock.recvfrom(1024)[0].decode())
            number += 1
        except socket.timeout:
            pass
    number += 1
