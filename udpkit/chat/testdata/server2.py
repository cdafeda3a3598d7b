# A server as the seed document describes server2.py, which it does not show.
import socket
import sys
import threading

HOST = sys.argv[1]
PORT = int(sys.argv[2])

clients = []


def broadcast(message, sender_socket=None):
    for client in clients[:]:
        if client is not sender_socket:
            try:
                client.send(message)
            except OSError:
                clients.remove(client)


def handle_client(client_socket, address):
    while True:
        try:
            message = client_socket.recv(1024)
        except OSError:
            break
        if not message:
            break
        print(f"{address}: {message.decode('utf-8')}")
        broadcast(message, client_socket)
    if client_socket in clients:
        clients.remove(client_socket)
    client_socket.close()
    print("disconnected")


def server_send(server):
    while True:
        message = input("Server: ")
        if message.lower() == "exit":
            for client in clients[:]:
                client.shutdown(socket.SHUT_RDWR)
                client.close()
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            break
        broadcast(message.encode('utf-8'))


def start_server():
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind((HOST, PORT))
    server.listen(5)
    print(f"listening on port {server.getsockname()[1]}")
    threading.Thread(target=server_send, args=(server,)).start()
    while True:
        try:
            client_socket, address = server.accept()
        except OSError:
            break
        clients.append(client_socket)
        print(f"connected {len(clients)}")
        threading.Thread(target=handle_client, args=(client_socket, address)).start()


if __name__ == "__main__":
    start_server()
