# A right chat server, which passes on whole lines.
import os, socket, threading

listener = socket.create_server(("127.0.0.1", int(os.environ["UDPKIT_PORT"])))
lock, clients = threading.Lock(), set()

def talk(conn):
    rest = b""
    try:
        while data := conn.recv(65536):
            *lines, rest = (rest + data).split(b"\n")
            with lock:
                for other in clients - {conn}:
                    try:
                        other.sendall(b"".join(line + b"\n" for line in lines))
                    except OSError:
                        pass
    except OSError:
        pass
    with lock:
        clients.discard(conn)
    conn.close()

while True:
    conn, _ = listener.accept()
    with lock:
        clients.add(conn)
    threading.Thread(target=talk, args=(conn,), daemon=True).start()
