# A right broadcast client that shows more than it has to: what came, what it makes of it, copies.
import json, os, socket

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))
seen = {}
while True:
    data, server = sock.recvfrom(65535)
    print("received", data)
    try:
        m = json.loads(data)
        number, state = int(m["message_id"]), str(m["state"])
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        print("no message:", e)
        continue
    times = seen[server, number] = seen.get((server, number), 0) + 1
    if times == 1:
        print(f"\r|\r/\r{state} ({number}) of {server}")
    else:
        print(f"copy {times} of {number} ({state}) is not shown")
    sock.sendto(f"Client pete received message {number}".encode(), server)
