import socket

def start_server(host='localhost', port=6532):
    # Create a socket object
    server_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    
    # Bind the socket to the address and port
    server_socket.bind((host, port))
    print(f"Server started, listening on {host}:{port}")
    
    while True:
        # Receive data from a client
        data, client_address = server_socket.recvfrom(1024)
        print(f"Received data from {client_address}: {data.decode('utf-8')}")
        
        # Send a response to the client
        response = "Message received"
        server_socket.sendto(response.encode('utf-8'), client_address)

# Run the server
if __name__ == "__main__":
    start_server()
