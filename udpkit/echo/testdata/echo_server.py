import socket

# Define server address and port
server_address = ('localhost', 12345)

# Create a UDP socket
server_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

# Bind the socket to the server address
server_socket.bind(server_address)

print(f"Server listening on {server_address}")

while True:
    # Receive data from the client
    data, client_address = server_socket.recvfrom(1024)
    print(f"Received message from {client_address}: {data.decode()}")

    # Echo the message back to the client
    server_socket.sendto(data, client_address)
