// Wrong: an echo server that makes text of what it gets, and so changes what is none.
const socket = require("dgram").createSocket("udp4");
socket.on("message", (data, client) => socket.send(data.toString("utf8"), client.port, client.address));
socket.bind(Number(process.env.UDPKIT_PORT), "127.0.0.1");
