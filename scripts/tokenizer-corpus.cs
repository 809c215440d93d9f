#:project ../src/NablaGen.Training/NablaGen.Training.csproj

// The captions that scripts/train-tokenizer trains on: dotnet run scripts/tokenizer-corpus.cs -- COUNT > captions.txt
using NablaGen.Training.World;

TokenizerCorpus.WriteCorpus(Console.Out, int.Parse(args[0]));
