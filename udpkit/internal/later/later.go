// Package later delivers things at their times.
package later

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Queue holds things until it is time to deliver them. Its methods are safe for concurrent use; the
// zero value is not: see [New].
type Queue[T any] struct {
	mu      sync.Mutex
	waiting items[T]
	pushed  uint64
	news    chan struct{} // holds one element if there is a new first
}

// Item is one thing in a [Queue], or that has been in it.
type Item[T any] struct {
	thing  T
	at     time.Time
	number uint64 // keeps those of the same time in order
	place  int    // in the heap; -1: delivered
}

// New returns an empty queue.
func New[T any]() *Queue[T] { return &Queue[T]{news: make(chan struct{}, 1)} }

// Push has a thing delivered at a time: at once, if that is over.
func (q *Queue[T]) Push(thing T, at time.Time) *Item[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pushed++
	item := &Item[T]{thing: thing, at: at, number: q.pushed}
	heap.Push(&q.waiting, item)
	q.tell()
	return item
}

// Move has a thing delivered at another time, behind those that were pushed for it. Of one that is
// delivered it does nothing.
func (q *Queue[T]) Move(item *Item[T], at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if item.place < 0 {
		return
	}
	q.pushed++
	item.at, item.number = at, q.pushed
	heap.Fix(&q.waiting, item.place)
	q.tell()
}

// tell is for mu held.
func (q *Queue[T]) tell() {
	if q.waiting[0].number == q.pushed {
		select {
		case q.news <- struct{}{}:
		default:
		}
	}
}

// Len returns how many things wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Run calls deliver for each thing when it is time, one call after the other, until ctx ends. It is
// for one goroutine.
func (q *Queue[T]) Run(ctx context.Context, deliver func(T)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		var due *Item[T]
		wait := time.Hour
		q.mu.Lock()
		if len(q.waiting) > 0 {
			if wait = time.Until(q.waiting[0].at); wait <= 0 {
				due = heap.Pop(&q.waiting).(*Item[T])
			}
		}
		q.mu.Unlock()
		if due != nil {
			thing := due.thing
			due.thing = *new(T) // who keeps the item does not keep the thing
			deliver(thing)
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.news:
		case <-timer.C:
		}
	}
}

type items[T any] []*Item[T]

func (s items[T]) Len() int { return len(s) }
func (s items[T]) Less(i, j int) bool {
	if s[i].at.Equal(s[j].at) {
		return s[i].number < s[j].number
	}
	return s[i].at.Before(s[j].at)
}

func (s items[T]) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].place, s[j].place = i, j
}

func (s *items[T]) Push(x any) {
	item := x.(*Item[T])
	item.place = len(*s)
	*s = append(*s, item)
}

func (s *items[T]) Pop() any {
	last := len(*s) - 1
	item := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	item.place = -1
	return item
}
