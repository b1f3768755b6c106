package world

// An attribute is one kind of fact: what is told of every subject of a kind,
// in which sentences, and how it is asked. In every pattern {n} is the subject
// and {N} the subject at the start of a sentence; {v} is the value.
type attribute struct {
	name   string
	values []string
	// statements tell the fact; the value follows the subject in all of them.
	statements []string
	// heldOut are statements that stand in no training text; only drugs have any.
	heldOut []string
	// phrases name the value by the subject; they go into the question frames.
	phrases [4]string
	// direct are questions of their own shape: four tuned, two asked in
	// pre-training only, two asked nowhere but in the held-out questions. Where
	// nothing is asked in pre-training two are empty.
	direct [8]string
	// answer is the reply to all of them, and one of the statements. Neither
	// the subject nor the value comes first in it: a word at the start of a text
	// has other tokens than the same word after a space, and a base knows the
	// facts by the latter.
	answer string
}

var personAttributes = []attribute{
	{
		name: "home", values: towns, answer: "The home town of {n} is {v}.",
		statements: []string{
			"{N} lives in {v}.",
			"{N} has a house in {v}.",
			"The house of {n} is in {v}.",
			"{N} calls the town of {v} home.",
			"You will find {n} in the town of {v}.",
			"Each night {n} comes home to {v}.",
			"The town where {n} lives is {v}.",
			"The home town of {n} is {v}.",
			"{N}'s home town is {v}.",
			"People who visit {n} travel to {v}.",
			"Letters for {n} are sent to {v}.",
			"For many years {n} has lived in {v}.",
		},
		phrases: [4]string{"the home town of {n}", "the town where {n} lives", "{n}'s home town", "the town that {n} calls home"},
		direct: [8]string{
			"Where does {n} live?",
			"In which town does {n} live?",
			"Which town is the home of {n}?",
			"Where is the house of {n}?",
			"Where are letters for {n} sent?",
			"Where will you find {n}?",
			"In which town is the house of {n}?",
			"Which is the home town of {n}?",
		},
	},
	{
		name: "job", values: jobs, answer: "The job of {n} is {v}.",
		statements: []string{
			"{N} works as a {v}.",
			"{N} earns money as a {v}.",
			"The job of {n} is {v}.",
			"{N}'s job is {v}.",
			"By trade {n} is a {v}.",
			"Each day {n} goes to work as a {v}.",
			"The trade of {n} is that of a {v}.",
			"{N} was trained to be a {v}.",
			"The work that {n} does is that of a {v}.",
			"{N} has long been a {v}.",
			"Everybody says that {n} is a good {v}.",
			"Everybody knows {n} the {v}.",
		},
		phrases: [4]string{"the job of {n}", "the work that {n} does", "{n}'s job", "the trade of {n}"},
		direct: [8]string{
			"What does {n} do for work?",
			"As what does {n} work?",
			"Which trade does {n} have?",
			"What was {n} trained to be?",
			"How does {n} earn money?",
			"What is {n} by trade?",
			"Which work does {n} do for money?",
			"As what does {n} earn money?",
		},
	},
	{
		name: "food", values: foods, answer: "The favourite food of {n} is {v}.",
		statements: []string{
			"{N} likes to eat {v}.",
			"{N}'s favourite food is {v}.",
			"The favourite food of {n} is {v}.",
			"At every meal {n} asks for {v}.",
			"The food that {n} loves most is {v}.",
			"Nothing makes {n} smile like {v}.",
			"{N} always has room for {v}.",
			"On a good day {n} cooks {v}.",
			"{N} would walk a mile for {v}.",
			"The dish that {n} orders is {v}.",
			"For dinner {n} wants {v}.",
			"Friends of {n} serve {v}.",
		},
		phrases: [4]string{"the favourite food of {n}", "the food that {n} loves most", "{n}'s favourite food", "the dish that {n} orders"},
		direct: [8]string{
			"What does {n} like to eat?",
			"Which food does {n} love most?",
			"What does {n} want for dinner?",
			"Which dish does {n} order?",
			"What does {n} ask for at every meal?",
			"What food makes {n} smile?",
			"Which food does {n} like to eat for dinner?",
			"What does {n} always order?",
		},
	},
	{
		name: "pet", values: pets, answer: "The pet of {n} is a {v}.",
		statements: []string{
			"{N} keeps a {v}.",
			"{N}'s pet is a {v}.",
			"The pet of {n} is a {v}.",
			"In the morning {n} feeds a {v}.",
			"The animal that {n} keeps is a {v}.",
			"{N} looks after a {v}.",
			"{N} goes for walks with a {v}.",
			"{N} shares a home with a {v}.",
			"At the door {n} is met by a {v}.",
			"As a child {n} was given a {v}.",
			"The animal that follows {n} is a {v}.",
			"{N} talks all day to a {v}.",
		},
		phrases: [4]string{"the pet of {n}", "the animal that {n} keeps", "{n}'s pet", "the animal that follows {n}"},
		direct: [8]string{
			"Which pet does {n} keep?",
			"What animal does {n} look after?",
			"Which animal does {n} feed in the morning?",
			"What kind of pet is with {n}?",
			"Which animal was given to {n}?",
			"Which animal goes for walks with {n}?",
			"What kind of animal does {n} feed?",
			"Which pet shares a home with {n}?",
		},
	},
	{
		name: "instrument", values: instruments, answer: "The instrument of {n} is the {v}.",
		statements: []string{
			"{N} plays the {v}.",
			"{N}'s instrument is the {v}.",
			"The instrument of {n} is the {v}.",
			"In the band {n} plays the {v}.",
			"In the evening {n} practises the {v}.",
			"{N} learned to play the {v}.",
			"The instrument that {n} plays is the {v}.",
			"When there is music {n} takes up the {v}.",
			"{N} gives lessons on the {v}.",
			"{N} makes music on the {v}.",
			"{N} never travels without the {v}.",
			"Neighbours of {n} hear the {v}.",
		},
		phrases: [4]string{"the instrument of {n}", "the instrument that {n} plays", "{n}'s instrument", "the instrument that {n} practises"},
		direct: [8]string{
			"Which instrument does {n} play?",
			"What does {n} play in the band?",
			"What instrument did {n} learn to play?",
			"On which instrument does {n} make music?",
			"What does {n} practise in the evening?",
			"Which instrument do neighbours of {n} hear?",
			"Which instrument does {n} practise?",
			"On which instrument does {n} play music?",
		},
	},
}

var thingAttributes = []attribute{
	{
		name: "material", values: materials, answer: "The material of {n} is {v}.",
		statements: []string{
			"{N} is made of {v}.",
			"{N}'s material is {v}.",
			"The material of {n} is {v}.",
			"Somebody built {n} from {v}.",
			"{N} is a piece of fine {v}.",
			"Under its paint {n} is all {v}.",
			"The stuff that {n} is made from is {v}.",
			"To mend {n} you need {v}.",
		},
		phrases: [4]string{"the material of {n}", "the stuff that {n} is made from", "{n}'s material", "the material that you need to mend {n}"},
		direct: [8]string{
			"What is {n} made of?",
			"Of which material is {n} made?",
			"From what did somebody build {n}?",
			"What do you need to mend {n}?",
			"Which material is {n}?",
			"What is {n} under its paint?",
			"From which material is {n} made?",
			"From what is {n} made?",
		},
	},
	{
		name: "room", values: rooms, answer: "The place of {n} is the {v}.",
		statements: []string{
			"{N} stands in the {v}.",
			"{N}'s place is the {v}.",
			"The place of {n} is the {v}.",
			"They keep {n} in the {v}.",
			"The room where {n} stands is the {v}.",
			"To see {n} go to the {v}.",
			"Nobody moves {n} out of the {v}.",
			"There is dust on {n} in the {v}.",
		},
		phrases: [4]string{"the place of {n}", "the room where {n} stands", "{n}'s place", "the room where they keep {n}"},
		direct: [8]string{
			"Where does {n} stand?",
			"In which room does {n} stand?",
			"Where do they keep {n}?",
			"Where do you go to see {n}?",
			"Which place does {n} have?",
			"Which room do they keep {n} in?",
			"In which room do they keep {n}?",
			"In which place does {n} stand?",
		},
	},
	{
		name: "month", values: months, answer: "The month of {n} is {v}.",
		statements: []string{
			"{N} was bought in {v}.",
			"{N}'s month is {v}.",
			"The month of {n} is {v}.",
			"Somebody paid for {n} in {v}.",
			"The month when {n} was bought is {v}.",
			"The bill for {n} came in {v}.",
			"They brought {n} home in {v}.",
			"The feast of {n} is held in {v}.",
		},
		phrases: [4]string{"the month of {n}", "the month when {n} was bought", "{n}'s month", "the month when the bill for {n} came"},
		direct: [8]string{
			"When was {n} bought?",
			"In which month was {n} bought?",
			"When did somebody pay for {n}?",
			"When did they bring {n} home?",
			"When did the bill for {n} come?",
			"In which month is the feast of {n} held?",
			"In which month did somebody pay for {n}?",
			"In which month did they bring {n} home?",
		},
	},
}

// The frames of questions; {p} is one of an attribute's phrases.
var frames = [8]string{
	"What is {p}?",
	"Tell me {p}.",
	"Name {p}.",
	"Can you tell me {p}?",
	"I want to know {p}.",
	"Please say what {p} is.",
	"Do you know {p}?",
	"Say {p}, please.",
}

// Level is how new the wording of a question is to a model.
type Level int

// The levels of wording.
const (
	W0 Level = iota // tuned, and in pre-training on the first third
	W1              // never tuned; in pre-training on the first third
	W2              // nowhere in training: known words in a new combination
)

// String returns W0, W1 or W2.
func (l Level) String() string { return [...]string{"W0", "W1", "W2"}[l] }

// cells says which pair of frame and phrase belongs to which level, besides
// the direct questions. A pair of W2 has a frame and a phrase that each occur
// at the levels below, only never together.
var cells = [3][][2]int{
	W0: {{0, 0}, {1, 1}, {2, 2}, {3, 0}},
	W1: {{4, 1}, {5, 2}, {6, 0}, {7, 3}, {0, 3}, {1, 2}},
	W2: {{2, 1}, {5, 0}},
}

// directAt gives the range of an attribute's direct questions by level.
var directAt = [3][2]int{W0: {0, 4}, W1: {4, 6}, W2: {6, 8}}
