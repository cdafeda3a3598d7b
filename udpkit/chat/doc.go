// Package chat is a chat over TCP: a server, any number of clients, and each message goes to
// everybody but its sender.
//
// What goes over the wire is text, so that netcat is a client too: UTF-8, a message a line, at most
// [MaxLine] bytes. What the server sends is one of
//
//	ann: hello                      a message; an address where there is no name
//	server: hello                   a message of the operator
//	* ann (192.0.2.7:50312) left    a notice
//
// A client sends messages, and these lines for the server:
//
//	/name ann    gives the connection a name
//	/who         asks who is here
//	exit         leaves
//
// There are clients that send no newline. Until a connection has sent one, what came before a short
// pause is taken for a message; see [Reader]. Clients of Telnet, such as PuTTY, negotiate options,
// which is left out, and never answered.
//
// # Trust
//
// Without a key, everybody who reaches the port can take part, and whoever is on the way can read
// along. With one, see [ServerConfig.Secure] and package keytls, only its holders can: connections
// are encrypted by TLS 1.3, and who has not shown the key within 5 s is cut off and has got
// nothing. Until then a stranger takes a place of [ServerConfig.MaxClients], and enough of them can
// take all. Who is on the way still sees when something is said, and about how long it is, and can
// cut the connection. The key does not tell its holders apart, and a change of it counts for new
// connections only.
//
// What one participant can do to the others is bounded. Everyone has a queue of their
// own, and who does not read is disconnected, never waited for. Who sends much is read more slowly,
// which TCP tells the sender. There are limits on lines, on silence, on connections in all and from
// one address, and on new connections in a second. A name belongs to a connection, and names that
// look alike are refused. Control characters and what else could steer a terminal are replaced by
// U+FFFD, in the server for those who use netcat, and again in the client, which has no reason to
// trust the server. Whatever is dropped or refused is counted in [ServerSummary].
//
// Do not use it where messages must not be lost: a connection that breaks takes what was under way
// with it. A peer that vanished without a word, as when its cable is out, is noticed after about
// [DefaultLostTimeout], on Linux, macOS and Windows.
package chat
