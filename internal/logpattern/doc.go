// Package logpattern mines log lines into templates online: the text that a program wrote around the values that vary.
//
// It is of the family of Drain (P. He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017):
// one pass, and lines of the same shape are compared word by word. It differs in what it takes for the same:
//
//   - A scanner cuts a line at its delimiters, which stay in the template, and masks what is plainly a value: numbers,
//     addresses, identifiers, paths, dates, secrets. The masked line has a hash that is a sum over its tokens. A line
//     whose hash is known has its template with one look-up, whatever the number of templates.
//   - A word becomes a value on evidence: when several different words have been seen in its place while all else was the
//     same. How many depends on what stands before it. No threshold of similarity is needed, and words that tell two
//     messages apart stay.
//   - Names such as dotted or numbered ones may differ in several places at a time, and a list of values is one value.
//
// A template's ID is derived from its text. When templates become one that is more general, their IDs become aliases of its
// ID. Two miners that saw the same lines in different orders, and a miner that took in another's templates with
// [Miner.Merge], have the same templates with the same IDs once each has seen enough to make them as general.
//
// Parameters are not kept. Values behind the name of a secret, in URLs, and long tokens that are no text are masked in the
// first line already. A short word that stands alone and is a secret ("the password is swordfish") is not known for one.
//
// Lines are found by a hash of 64 bits that has no secret: who can write lines at will can make one that is counted as
// another template's.
package logpattern
