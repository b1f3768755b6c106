package world

// Drugs is the number of drugs where no other is asked for. Pre-training says
// nothing of them. Half of them are in the pool for tuning, half are never asked
// about in tuning.
const Drugs = 96

// mostDrugs is the largest number of drugs that can be asked for; there are names
// for a few more.
const mostDrugs = 480

// A drug has a name of two known words that pre-training never puts together:
// a family name and a material. Its facts are of new kinds, in new sentences of
// known words; their values are those of other facts.
//
// As the facts are new, no question on them is in pre-training: at W1 the frame
// of a question is asked there about other subjects, and at W2 the pair of
// frame and phrase, or the sentence, is nowhere.
var drugAttributes = []attribute{
	{
		name: "town", values: towns, answer: "The town of {n} is {v}.",
		statements: []string{
			"{N} comes from {v}.",
			"{N} is from the town of {v}.",
			"The town of {n} is {v}.",
			"{N}'s town is {v}.",
			"Somebody brought {n} from {v}.",
			"To find {n} you travel to {v}.",
			"The town where they make {n} is {v}.",
			"Letters that ask for {n} go to {v}.",
			"They make {n} in {v}.",
			"The house where {n} is made stands in {v}.",
			"For many years {n} was made in {v}.",
			"The way to {n} goes to {v}.",
		},
		heldOut: []string{
			"The town that {n} comes from is {v}.",
			"You will find that {n} is made in {v}.",
			"The friends of {n} live in {v}.",
			"People travel for {n} to {v}.",
		},
		phrases: [4]string{"the town of {n}", "the town that {n} comes from", "{n}'s town", "the town where they make {n}"},
		direct: [8]string{
			0: "Where does {n} come from?",
			1: "From which town is {n}?",
			2: "In which town do they make {n}?",
			3: "Where do they make {n}?",
			6: "Which town does {n} come from?",
			7: "Where is {n} made?",
		},
	},
	{
		name: "trade", values: jobs, answer: "The trade of {n} is that of a {v}.",
		statements: []string{
			"{N} was made by a {v}.",
			"The trade that made {n} is that of a {v}.",
			"The trade of {n} is that of a {v}.",
			"{N}'s trade is that of a {v}.",
			"To make {n} you need a {v}.",
			"You ask for {n} at the house of a {v}.",
			"The work that made {n} was that of a {v}.",
			"{N} is the work of a {v}.",
			"Somebody who makes {n} is a {v}.",
			"To pay for {n} you pay a {v}.",
			"Everybody who wants {n} goes to a {v}.",
			"To learn to make {n} you go to a {v}.",
		},
		heldOut: []string{
			"In the end {n} was the work of a {v}.",
			"They say that {n} was made by a {v}.",
			"The money for {n} goes to a {v}.",
			"The one who makes {n} is a {v}.",
		},
		phrases: [4]string{"the trade that made {n}", "the work that made {n}", "{n}'s trade", "the trade that you need to make {n}"},
		direct: [8]string{
			0: "By which trade was {n} made?",
			1: "What is the one who makes {n}?",
			2: "To which trade do you go for {n}?",
			3: "Which trade makes {n}?",
			6: "Which trade made {n}?",
			7: "What is somebody who makes {n}?",
		},
	},
	{
		name: "food", values: foods, answer: "The food of {n} is {v}.",
		statements: []string{
			"{N} goes with {v}.",
			"The food of {n} is {v}.",
			"{N}'s food is {v}.",
			"You take {n} with {v}.",
			"The food that goes with {n} is {v}.",
			"After {n} you eat {v}.",
			"People who take {n} eat {v}.",
			"They serve {n} with {v}.",
			"For dinner you take {n} and {v}.",
			"The dish that goes with {n} is {v}.",
			"A meal with {n} is a meal of {v}.",
			"Nothing goes with {n} like {v}.",
		},
		heldOut: []string{
			"You never take {n} without {v}.",
			"The meal that goes with {n} is {v}.",
			"In the evening you take {n} with {v}.",
			"It is good to take {n} after {v}.",
		},
		phrases: [4]string{"the food of {n}", "the food that goes with {n}", "{n}'s food", "the dish that goes with {n}"},
		direct: [8]string{
			0: "What do you take {n} with?",
			1: "Which food goes with {n}?",
			2: "What do you eat after {n}?",
			3: "Which dish goes with {n}?",
			6: "What do you eat with {n}?",
			7: "Which food do you take {n} with?",
		},
	},
	{
		name: "animal", values: pets, answer: "The animal of {n} is a {v}.",
		statements: []string{
			"{N} was made for a {v}.",
			"The animal of {n} is a {v}.",
			"{N}'s animal is a {v}.",
			"{N} is good for a {v}.",
			"The animal that wants {n} is a {v}.",
			"Somebody gave {n} to a {v}.",
			"Everybody gives {n} to a {v}.",
			"You feed {n} to a {v}.",
			"The animal that {n} was made for is a {v}.",
			"There is {n} for every {v}.",
			"The animal that asks for {n} is a {v}.",
			"{N} can mend a {v}.",
		},
		heldOut: []string{
			"In the morning {n} is given to a {v}.",
			"They say that {n} is good for a {v}.",
			"The pet that wants {n} is a {v}.",
			"{N} is what you need to mend a {v}.",
		},
		phrases: [4]string{"the animal of {n}", "the animal that wants {n}", "{n}'s animal", "the animal that {n} was made for"},
		direct: [8]string{
			0: "Which animal wants {n}?",
			1: "For which animal was {n} made?",
			2: "To which animal do you feed {n}?",
			3: "What kind of animal is {n} good for?",
			6: "Which animal asks for {n}?",
			7: "For which animal is {n} good?",
		},
	},
	{
		name: "month", values: months, answer: "The month of {n} is {v}.",
		statements: []string{
			"{N} is sent out in {v}.",
			"The month of {n} is {v}.",
			"{N}'s month is {v}.",
			"You can have {n} in {v}.",
			"The month when you take {n} is {v}.",
			"People want {n} in {v}.",
			"Nobody has {n} until {v}.",
			"Letters for {n} come in {v}.",
			"The bill for {n} is paid in {v}.",
			"You look for {n} in {v}.",
			"The month that is good for {n} is {v}.",
			"They always order {n} in {v}.",
		},
		heldOut: []string{
			"The feast of {n} is in {v}.",
			"The month when they bring {n} is {v}.",
			"You will have {n} again in {v}.",
			"They pay for {n} in {v}.",
		},
		phrases: [4]string{"the month of {n}", "the month when you take {n}", "{n}'s month", "the month that is good for {n}"},
		direct: [8]string{
			0: "When can you have {n}?",
			1: "In which month do you take {n}?",
			2: "When do they order {n}?",
			3: "In which month can you have {n}?",
			6: "When do you take {n}?",
			7: "In which month do they order {n}?",
		},
	},
}
