# A right chat server, which passes on whole lines, and waits for nobody.
import os, queue, socket, threading

listener = socket.create_server(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))
lock, clients = threading.Lock(), {}

def write(conn, waiting):
    try:
        while line := waiting.get():
            conn.sendall(line)
    except OSError:
        pass

def talk(conn, mine):
    rest = b""
    try:
        while data := conn.recv(65536):
            *lines, rest = (rest + data).split(b"\n")
            with lock:
                for other, waiting in clients.items():
                    for line in lines:
                        if other is not conn and not waiting.full():
                            waiting.put(line + b"\n")
    except OSError:
        pass
    with lock:
        del clients[conn]
    conn.close()
    if not mine.full():
        mine.put(b"")

while True:
    conn, _ = listener.accept()
    mine = queue.Queue(32)
    with lock:
        clients[conn] = mine
    for job in write, talk:
        threading.Thread(target=job, args=(conn, mine), daemon=True).start()
