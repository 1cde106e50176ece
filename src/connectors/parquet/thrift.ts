/**
 * Reads Thrift's compact protocol, in which Parquet keeps its metadata:
 * https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

export type ThriftValue = boolean | number | bigint | Buffer | ThriftStruct | readonly ThriftValue[];
/** Fields by their number. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

/** @returns the struct that starts at `at`, and where it ends */
export function readStruct(bytes: Buffer, at: number): { readonly fields: ThriftStruct; readonly end: number } {
  const reader = new Reader(bytes, at);
  return { fields: reader.struct(), end: reader.at };
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  struct(): ThriftStruct {
    const fields = new Map<number, ThriftValue>();
    for (let id = 0; ; ) {
      const head = this.#byte();
      if (head === 0) return fields;
      const delta = head >> 4;
      id = delta === 0 ? Number(this.#zigzag()) : id + delta;
      fields.set(id, this.#value(head & 15, false));
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new Error('the metadata of a Parquet file ends too early');
    this.at += 1;
    return byte;
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #zigzag(): bigint {
    const value = this.#varint();
    return (value >> 1n) ^ -(value & 1n);
  }

  #take(length: number): Buffer {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  /** @param inList there a boolean is a byte, in a struct it is its type */
  #value(type: number, inList: boolean): ThriftValue {
    switch (type) {
      case 1:
      case 2:
        return (inList ? this.#byte() : type) === 1;
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
        return Number(this.#zigzag());
      case 6:
        return this.#zigzag();
      case 7:
        return this.#take(8).readDoubleLE();
      case 8:
        return this.#take(Number(this.#varint()));
      case 9:
      case 10:
        return this.#list();
      case 12:
        return this.struct();
      default:
        throw new Error(`type ${type} of Thrift is not known in the metadata of a Parquet file`);
    }
  }

  #list(): ThriftValue[] {
    const head = this.#byte();
    const size = head >> 4 === 15 ? Number(this.#varint()) : head >> 4;
    return Array.from({ length: size }, () => this.#value(head & 15, true));
  }
}
