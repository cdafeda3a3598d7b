# A right broadcast server, which shows the acknowledgements.
import json, os, socket, time
from datetime import datetime

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = (os.environ["UDPKIT_ADDRESS"], int(os.environ["UDPKIT_PORT"]))
states = ["ACTIVE", "STANDBY", "MAINTENANCE", "ERROR"]
number = 0
while True:
    number += 1
    message = {"timestamp": datetime.now().isoformat(), "state": states[number % 4], "message_id": number}
    sock.sendto(json.dumps(message).encode(), to)
    end = time.monotonic() + 0.3
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            print(sock.recvfrom(65535)[0].decode(errors="replace"))
        except OSError:
            pass
