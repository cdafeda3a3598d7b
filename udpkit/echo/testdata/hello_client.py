import socket

def start_client(host='localhost', port=6532):
    # Create a socket object
    client_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    
    # Send data to the server
    message = "Hello, Server!"
    client_socket.sendto(message.encode('utf-8'), (host, port))
    print(f"Sent message to {host}:{port}")
    
    # Receive response from the server
    response, server_address = client_socket.recvfrom(1024)
    print(f"Received response from {server_address}: {response.decode('utf-8')}")
    
    # Close the socket
    client_socket.close()

# Run the client
if __name__ == "__main__":
    start_client()
