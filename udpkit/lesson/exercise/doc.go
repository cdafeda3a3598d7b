// Package exercise is what the lessons share: it runs the reader's functions safely ([Start]) and
// reports what a check has found ([Report]) and draws the exchange of a wrong answer ([Exchange]),
// counts what a server was asked ([Record]), keeps the
// results of a session in files ([Write], [Read], [Update]), and shows them while they grow
// ([NewShow]).
package exercise
