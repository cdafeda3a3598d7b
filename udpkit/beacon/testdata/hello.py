"""The program of the document as it stands there, but for its imports, which it leaves out; the addresses, which can be
given; and that it runs until its standard input ends: hello.py [ADDRESS SEND_PORT LISTEN_PORT]"""
import socket
import sys
import time
from threading import Thread

ADDRESS, SEND_PORT, LISTEN_PORT = "192.168.1.255", 3400, 3400
if len(sys.argv) > 1:
    ADDRESS, SEND_PORT, LISTEN_PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.stdout.reconfigure(line_buffering=True)


def sender():
# HELLO MESSAGE SENDER THREAD
    while True:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
        sock.setsockopt(socket.SOL_SOCKET,socket.SO_BROADCAST,1)
        message="HELLO|"
        encmessage=message.encode()
        sock.sendto(encmessage, (ADDRESS, SEND_PORT))
        time.sleep(0.8)

def receiver ():
# HELLO MESSAGE RECEIVER FUNCTION THREAD
    UDP_IP = ""
    UDP_PORT = LISTEN_PORT
    sock = socket.socket(socket.AF_INET,socket.SOCK_DGRAM) # UDP
    sock.bind((UDP_IP, UDP_PORT))
    while True:
        data, addr = sock.recvfrom(1024) 
        data=data.decode()
        print(data)

fList=list()
fList.append(receiver)
fList.append(sender)

for funct in fList:
    th=Thread(target=funct)
    th.setDaemon(True)
    th.start()

sys.stdin.read()
