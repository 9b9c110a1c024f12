// Package tables looks things up in the embedded tables: the intensity and PUE of
// a cloud region ([Clouds]), yearly intensities of countries and subdivisions
// ([Grids]), grid zones ([Zones]), the power of processors, accelerators and
// instance types ([CPUs], [GPUs], [Instances]), and constants ([Embodied],
// [Coefficient]). [ReadClouds] reads a table of the user's own in place of
// clouds.csv.
//
// Each table is parsed when it is first asked for, once for the process. Look-ups
// in Clouds, Grids, Zones, GPUs and Embodied allocate nothing and may stand in a hot
// path. CPUs and Instances are not parsed at all: they search the sorted text and
// allocate the row that they find, once for each name while there are no more than
// about a thousand of them.
//
// What the making of a device emitted is an [EmbodiedFigure]: the share of an instance
// type ([InstanceTable.Embodied]), that of an accelerator ([GPUTable.Embodied]), or,
// flagged as generic, of a machine or a card of which nothing is known
// ([EmbodiedTable.Server], [EmbodiedTable.Card]).
//
// Everything here is safe for concurrent use. What a look-up returns is shared
// and must not be changed. A look-up that finds nothing returns nil; nothing is
// ever guessed from a name that merely looks alike, except that the Nearest
// methods name a candidate for error messages.
//
// What is not known is the zero value: an intensity or ratio carries OK, a power
// of 0 W stands for an empty cell.
package tables
