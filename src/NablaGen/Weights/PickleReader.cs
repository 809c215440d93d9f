using System.Buffers.Binary;
using System.Text;

namespace NablaGen.Weights;

/// <summary>A global that a pickle names: a class or a function. Only its name; nothing is ever looked up or run.</summary>
internal sealed record PickleGlobal(string Module, string Name)
{
    public override string ToString() => $"{Module}.{Name}";
}

/// <summary>A dictionary in a pickle, in its order.</summary>
internal sealed class PickleDict
{
    public List<KeyValuePair<object?, object?>> Items { get; } = [];
}

/// <summary>
/// Reads a Python pickle as a list of plain values, with the opcodes alone that a saved state_dict needs. A pickle is a program
/// and may do harm in Python; here its calls go to <paramref name="call"/>, which knows a handful by name and refuses the rest.
/// </summary>
/// <param name="bytes">The pickle.</param>
/// <param name="call">Gives the value of calling a global with arguments.</param>
/// <param name="persistent">Gives the value of a persistent id.</param>
/// <param name="start">Where in the bytes it begins.</param>
/// <remarks>
/// Values are null, bool, long, double, string, List&lt;object?&gt; (lists and tuples alike), <see cref="PickleDict"/>,
/// <see cref="PickleGlobal"/>, and what the two functions return. Anything else, and any fault, is a FormatException.
/// </remarks>
internal sealed class PickleReader(byte[] bytes, Func<PickleGlobal, List<object?>, object?> call, Func<object?, object?> persistent, int start = 0)
{
    // A tensor takes about thirty; no model has so many tensors.
    private const int MostValues = 2_000_000;

    private static readonly object Mark = new();

    private readonly Stack<object?> _stack = new();
    private readonly Dictionary<long, object?> _memo = [];
    private int _position = start;
    private int _values;

    /// <summary>The byte after the pickle, once it has been read.</summary>
    public int End => _position;

    /// <summary>The value of the pickle.</summary>
    /// <exception cref="FormatException">It is truncated, malformed, or uses what a state_dict does not.</exception>
    public object? Read()
    {
        while (true)
        {
            var opcode = (char)Byte();
            if (opcode == '.') // STOP
            {
                return Pop();
            }

            Do(opcode);
        }
    }

    private void Do(char opcode)
    {
        switch (opcode)
        {
            case '\x80': // PROTO
                if (Byte() is var version and (< 2 or > 5))
                {
                    throw new FormatException($"pickle protocol {version}, expected 2 to 5");
                }

                break;
            case '\x95': // FRAME: its length, of no use here
                Take(8);
                break;
            case '(':
                Push(Mark);
                break;
            case 'N':
                Push(null);
                break;
            case '\x88':
                Push(true);
                break;
            case '\x89':
                Push(false);
                break;
            case 'K': // BININT1
                Push((long)Byte());
                break;
            case 'M': // BININT2
                Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
                break;
            case 'J': // BININT
                Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4)));
                break;
            case '\x8a': // LONG1
                Push(Long(Take(Byte())));
                break;
            case 'G': // BINFLOAT
                Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8)));
                break;
            case 'X': // BINUNICODE
                Push(Text(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))));
                break;
            case '\x8c': // SHORT_BINUNICODE
                Push(Text(Byte()));
                break;
            case ']' or ')': // EMPTY_LIST, EMPTY_TUPLE
                Push(new List<object?>());
                break;
            case '}':
                Push(new PickleDict());
                break;
            case 't': // TUPLE
                Push(PopToMark());
                break;
            case '\x85' or '\x86' or '\x87': // TUPLE1, TUPLE2, TUPLE3
                Push(PopCount(opcode - '\x84'));
                break;
            case 'a': // APPEND
                var last = Pop();
                Top<List<object?>>("a list").Add(last);
                break;
            case 'e': // APPENDS
                var items = PopToMark();
                Top<List<object?>>("a list").AddRange(items);
                break;
            case 's': // SETITEM
                SetItems(PopCount(2));
                break;
            case 'u': // SETITEMS
                SetItems(PopToMark());
                break;
            case 'q': // BINPUT
                Remember(Byte(), Peek());
                break;
            case 'r': // LONG_BINPUT
                Remember(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)), Peek());
                break;
            case '\x94': // MEMOIZE
                Remember(_memo.Count, Peek());
                break;
            case 'h': // BINGET
                Push(Remembered(Byte()));
                break;
            case 'j': // LONG_BINGET
                Push(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4))));
                break;
            case 'c': // GLOBAL
                Push(new PickleGlobal(TextLine(), TextLine()));
                break;
            case '\x93': // STACK_GLOBAL
                var name = Pop<string>("a name");
                Push(new PickleGlobal(Pop<string>("a module's name"), name));
                break;
            case 'R': // REDUCE
                var arguments = Pop<List<object?>>("arguments");
                Push(call(Pop<PickleGlobal>("a function"), arguments));
                break;
            case 'b': // BUILD: attributes of the dictionary itself (_metadata), of no use here
                Pop();
                Top<PickleDict>("a dictionary");
                break;
            case 'Q': // BINPERSID
                Push(persistent(Pop()));
                break;
            default:
                throw new FormatException($"pickle opcode 0x{(int)opcode:x2} at byte {_position - 1}, which a state_dict never uses");
        }
    }

    private void Push(object? value)
    {
        Count();
        _stack.Push(value);
    }

    private void Remember(long key, object? value)
    {
        Count();
        _memo[key] = value;
    }

    // Each opcode may be a byte, and what it leaves in memory a hundred.
    private void Count()
    {
        if (++_values > MostValues)
        {
            throw new FormatException($"the pickle has more than {MostValues} values, which no model's state_dict has");
        }
    }

    private void SetItems(List<object?> items)
    {
        var dictionary = Top<PickleDict>("a dictionary");
        if (items.Count % 2 != 0)
        {
            throw new FormatException("the pickle has a dictionary key without a value");
        }

        for (var i = 0; i < items.Count; i += 2)
        {
            dictionary.Items.Add(KeyValuePair.Create(items[i], items[i + 1]));
        }
    }

    private static long Long(ReadOnlySpan<byte> little)
    {
        if (little.Length > 8)
        {
            throw new FormatException($"the pickle has a whole number of {little.Length} bytes, expected at most 8");
        }

        var value = little.IsEmpty ? 0 : (long)(sbyte)little[^1];
        for (var i = little.Length - 2; i >= 0; i--)
        {
            value = (value << 8) | little[i];
        }

        return value;
    }

    private byte Byte() => Take(1)[0];

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count > bytes.Length - _position)
        {
            throw new FormatException(
                $"the pickle is truncated: expected {count} bytes at byte {_position}, found {bytes.Length - _position}");
        }

        _position += (int)count;
        return bytes.AsSpan(_position - (int)count, (int)count);
    }

    private string Text(long count) => Encoding.UTF8.GetString(Take(count));

    private string TextLine()
    {
        var length = bytes.AsSpan(_position).IndexOf((byte)'\n');
        if (length < 0)
        {
            throw new FormatException("the pickle is truncated in a name");
        }

        var text = Text(length);
        _position++;
        return text;
    }

    private object? Remembered(long key) =>
        _memo.TryGetValue(key, out var value) ? value : throw new FormatException($"the pickle reads memo entry {key}, which it never wrote");

    private object? Peek() => _stack.TryPeek(out var value) ? value : throw new FormatException("the pickle's stack is empty");

    private object? Pop() =>
        _stack.TryPop(out var value) && value != Mark ? value : throw new FormatException("the pickle's stack has too few values");

    private T Pop<T>(string what) => Pop() is T value ? value : throw new FormatException($"expected {what} on the pickle's stack");

    private T Top<T>(string what) => Peek() is T value ? value : throw new FormatException($"expected {what} on the pickle's stack");

    private List<object?> PopCount(int count)
    {
        var items = new List<object?>();
        for (var i = 0; i < count; i++)
        {
            items.Add(Pop());
        }

        items.Reverse();
        return items;
    }

    private List<object?> PopToMark()
    {
        var items = new List<object?>();
        while (Peek() != Mark)
        {
            items.Add(Pop());
        }

        _stack.Pop();
        items.Reverse();
        return items;
    }
}
