// Package key signs and seals datagrams with a secret that all who take part share, so that what
// comes from anybody else is neither believed, shown nor answered.
//
// A [Ring] holds the shared secrets: [Create] makes a file with one, [Load] reads it. The systems
// of this module take a Ring in their configuration. For a protocol of your own, a [Sender] turns
// what you send into a datagram and an [Opener] turns it back.
//
// # What goes over the wire
//
// Signed (the default), the datagram stays readable and ends in a token, 48 characters of base64url
// (RFC 4648) in a text and 36 bytes in a binary form: 8 bytes that name the sender's session, drawn
// at random; 4 bytes that count its datagrams; 8 bytes of its clock, milliseconds of Unix time; 16
// bytes of HMAC-SHA-256 (RFC 2104, RFC 4868) over all before them.
//
// Sealed, it is the byte 0xF5, which begins no text in UTF-8, the version 1, the same 20 bytes, and
// the content by AES-256-GCM (NIST SP 800-38D) with its tag of 16 bytes: 38 bytes more than the
// content. The nonce is the session and the count (8.2.1 there). Two of a million senders draw the
// same session with a probability of 2^-25.
//
// The keys for both, and for each purpose, such as "status" or "acknowledgement", are derived from
// the secret by HKDF (RFC 5869): what was signed for one purpose is nothing for another.
//
// # What a recording can do
//
// A datagram is believed within [MaxAge] of its clock, and, unless its protocol has use for a
// datagram that comes twice, once. This needs clocks that differ by less than that when two first
// hear each other; later ones are compared with the first, so that a clock that is set right harms
// nobody.
// It was preferred to a challenge as it needs no way back, keeps nothing for those that have proved
// nothing, and is one rule for all systems. What it leaves: who records a datagram, and keeps it
// from its receiver, can have it believed up to MaxAge late, and if the first one of a session came
// as late, the others of it up to twice MaxAge; who starts within MaxAge of a recording can be
// played it once.
//
// # What a key does not give
//
// It does not tell its holders apart: each of them can speak as any other, and read what is sealed.
// It does not hide who sends to whom, when, and how much. And it keeps nobody from filling the
// network.
package key
