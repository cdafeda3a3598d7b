// Package chatting checks the exercises of the notebook chat.ipynb: [CheckLines], [CheckServe].
//
// What it opens is on this machine, bounded in count and time, and ends early when its context
// does.
//
// It is made for teaching. To chat, use package chat.
package chatting
