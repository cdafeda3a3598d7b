package service

// Failure is the state of something that may fail again and again: each failure is to be told when
// it begins, when its cause is another, and when it is over. The zero value works. It is for one
// goroutine at a time.
type Failure struct{ told error }

// Note takes how it went this time: err is nil if it works. It returns the failure that is to be
// told, which has begun or is over, or nil if there is nothing new.
func (f *Failure) Note(err error) (failure error, over bool) {
	was := f.told
	if err == nil {
		f.told = nil
		return was, true
	}
	if was != nil && cause(was).Error() == cause(err).Error() {
		return nil, false
	}
	f.told = err
	return err, false
}

// cause returns the innermost error, the last one if there are several: what is around it may say
// which of many things has failed this time.
func cause(err error) error {
	for {
		inner := error(nil)
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[len(all)-1]
			}
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Failures are those that go on, by what fails, as they were told. It is for one goroutine at a
// time.
type Failures[K comparable] map[K]error

// Note is [Failure.Note] for one of several things.
func (f Failures[K]) Note(what K, err error) (failure error, over bool) {
	one := Failure{f[what]}
	if failure, over = one.Note(err); failure == nil {
		return nil, false
	}
	if over {
		delete(f, what)
	} else {
		f[what] = err
	}
	return failure, over
}
