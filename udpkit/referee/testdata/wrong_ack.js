// Wrong: it acknowledges the status that comes next.
const socket = require("dgram").createSocket("udp4");
socket.on("message", (data, server) => {
  const m = JSON.parse(data);
  console.log(m.state, m.message_id);
  const answer = `Client node received message ${m.message_id + 1}`;
  socket.send(answer, server.port, server.address);
});
socket.bind(Number(process.env.UDPKIT_PORT), "127.0.0.1");
