// Package sockets is what the notebook sockets.ipynb runs beside package net: it explains what went
// wrong, records who sent what to whom and when, shows how neighbours that say HELLO come and go,
// and checks the reader's exercises.
//
// Everything stays on the loopback interface of this machine, is bounded in count and time, and
// ends early when its context does. [ExchangePicture] and [PeersPicture] are what is recorded here,
// for package plot to draw.
//
// It is made for teaching. To use sockets, use package net; for an echo server and a beacon that
// can be left alone on a network, packages echo and beacon.
package sockets
