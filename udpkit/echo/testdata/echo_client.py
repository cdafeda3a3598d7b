import socket

# Define server address and port
server_address = ('localhost', 12345)

# Create a UDP socket
client_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

while True:
    # Get user input
    message = input("Enter message to send to server (type 'exit' to quit): ")

    if message.lower() == 'exit':
        break

    # Send the message to the server
    client_socket.sendto(message.encode(), server_address)

    # Receive the echoed message from the server
    data, _ = client_socket.recvfrom(1024)
    print(f"Received echoed message: {data.decode()}")

# Close the socket
client_socket.close()
