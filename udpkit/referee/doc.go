// Package referee judges programs, in any language, that play one side of a system of this module:
// it runs the program, plays the other side and the network between, and says what went wrong with
// the number of the datagram.
//
//	verdict, err := referee.Run(ctx, referee.Config{
//		System: "broadcast", Side: referee.Client, Command: []string{"python3", "client.py"},
//		Weather: weather.Settings{Loss: 0.2}, Restart: true, Rounds: 20,
//	})
//
// # What the program is told
//
// The words {address} and {port} in Command are replaced by where the other side is, or by where
// the program has to listen; the environment variables UDPKIT_ADDRESS and UDPKIT_PORT say the same.
// A beacon listens at {listen}, UDPKIT_LISTEN, and sends to {port}. The address is of this machine:
// the referee sends nothing beyond it, and ignores what comes from beyond it, but a program that
// broadcasts by itself does. One that does not let itself be told is judged at the port that the
// system has in the documents of the course.
//
// # What the program shows
//
// What it receives the program shows on its standard output or standard error, a line for each.
// [Rules] says what the referee looks for in the lines of each system: words and numbers that occur
// once only, anywhere in the line, so that nobody has to print anything in one way. A program that
// reads lines is given them on its standard input.
//
// # What is judged
//
// A round is one run of the program. The dice of the network fall as the round's seed says, in both
// directions. What must hold always is judged always; what was lost on the way, or overtaken, is
// not missed. No rule depends on how fast a machine is: what must come has Patience to come, anew
// when a part of it came, and the program has [StartUp] until it first answers. A program may give
// up waiting for a reply: one that the referee sends late, as it was kept from running for 250 ms,
// is not missed. The first round that finds something is the last one; its seed, a recording for
// Wireshark and a timeline are in the [Verdict].
//
// A program runs with the rights of who starts the referee. Of what it prints 10,000 lines of 4 KiB
// are kept, and of what is sent 20,000 datagrams or 64 MiB; then its round ends with a finding.
// What it has started is ended with it, where the system has process groups, unless it has left the
// group, as a daemon does.
//
// # A new system
//
// A system is a file with a script for each side: it plays and leaves a log of datagrams and lines
// in a trial, and then judges the log by rules. See broadcast.go.
package referee
